"""``phantom[:KEY=VALUE,...]``: the simulator of `brainforge.datasets` as a device."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final

from brainforge.acquisition.replay_driver import RecordingDriver, parse_speed
from brainforge.errors import InputError

if TYPE_CHECKING:
    from brainforge.recording import Recording

#: seconds, where the user names none: longer than anybody stays in a helmet
A_DAY: Final = 86_400.0


def driver(
    address: str, *, speed: float | str = 1.0, packet_s: float = 0.05, **options: Any
) -> RecordingDriver:
    """Return the Driver of ``phantom`` or ``phantom:n_channels=64,seed=3,gaps=12+40``.

    Parameters
    ----------
    address : str
        Parameters of `brainforge.datasets.phantom.Phantom` and ``speed``, between commas; the
        parts of a list are joined by ``+``, and an empty one is ``none``.
    speed, packet_s
        As `brainforge.acquisition.replay_driver.driver` takes them.
    **options
        Parameters of the phantom. Without ``duration`` it lasts a day.

    Raises
    ------
    InputError
        An unknown parameter, or a value that it cannot have.
    """
    text = address.removeprefix("phantom").removeprefix(":")
    given = _parse(text)
    speed = parse_speed(given.pop("speed", speed))
    parameters = {"duration": A_DAY, **given, **options}
    from brainforge.datasets.phantom import Phantom

    known = {field.name for field in fields(Phantom)}
    unknown = sorted(set(parameters) - known)
    if unknown:
        raise InputError(
            where=f"source phantom:{text}", got=repr(unknown[0]),
            expected=f"parameters among speed, {', '.join(sorted(known))}",
        )  # fmt: skip
    phantom = Phantom(**{name: _value(name, parameters[name]) for name in parameters})

    def recording() -> Recording:
        return phantom.recording()

    name = f"phantom:{text}" if text else "phantom"
    return RecordingDriver(name, recording, speed, packet_s=packet_s)


def _parse(text: str) -> dict[str, Any]:
    """Return the parameters between commas, as they are written."""
    given: dict[str, Any] = {}
    for part in filter(None, text.split(",")):
        name, equals, value = part.partition("=")
        if not equals or name in given:
            raise InputError(
                where=f"source phantom:{text}", expected="KEY=VALUE, each once", got=repr(part)
            )
        given[name.strip()] = value.strip()
    return given


def _value(name: str, value: Any) -> Any:
    """Return a parameter as the type of its default."""
    from brainforge.datasets.phantom import Phantom

    default = getattr(Phantom, name)
    if not isinstance(value, str) or isinstance(default, str):
        return value
    try:
        if isinstance(default, tuple):
            parts = [] if value == "none" else value.split("+")
            return tuple(parts if isinstance(default[0], str) else map(int, parts))
        return int(value) if isinstance(default, int) else float(value)
    except ValueError:
        raise InputError(
            where=f"phantom's {name}", expected=f"something like {default}", got=repr(value)
        ) from None
