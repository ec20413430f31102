"""`open_source`: from what a user writes behind ``--source`` to a LiveSource; `discover`."""

from __future__ import annotations

from dataclasses import dataclass, fields
from importlib import import_module
from typing import Any, Final

from brainforge.acquisition.described import Described, Description
from brainforge.acquisition.driver import Driver
from brainforge.acquisition.live_source import LiveSource, Position
from brainforge.errors import InputError
from brainforge.info import Info


@dataclass(frozen=True)
class Scheme:
    """One kind of source.

    Parameters
    ----------
    module : str
        Has ``driver(address, **options)`` and may have ``discover()``; imported when it is used.
    form : str
        How it is written.
    host_port : bool
        Whether the address is a host and a port.
    extra : str
        Extra of this package that brings what the module needs.
    """

    module: str
    form: str
    host_port: bool = False
    extra: str = ""


SCHEMES: Final = {
    "lsl": Scheme("brainforge.acquisition.lsl", "lsl:NAME", extra="lsl"),
    "fieldtrip": Scheme(
        "brainforge.acquisition.fieldtrip.driver", "fieldtrip:HOST:PORT[,KEY=VALUE,...]", True
    ),
    "tcp": Scheme("brainforge.acquisition.tcp", "tcp:HOST:PORT", True),
    "unix": Scheme("brainforge.acquisition.tcp", "unix:PATH"),
    "replay": Scheme("brainforge.acquisition.replay_driver", "replay:PATH"),
    "phantom": Scheme("brainforge.acquisition.phantom_driver", "phantom[:KEY=VALUE,...]"),
}
#: options of every kind: what the user knows of a stream and the stream does not say
DESCRIBED: Final = tuple(field.name for field in fields(Description))
FORMS: Final = ", ".join(scheme.form for scheme in SCHEMES.values())


def _refuse(text: str, got: str) -> InputError:
    return InputError(where=f"source {text!r}", expected=f"one of {FORMS}", got=got)


def split_host_port(address: str, text: str) -> tuple[str, int]:
    """Return host and port of ``HOST:PORT`` or ``[IPv6]:PORT``; ``text`` is for the message."""
    host, colon, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port:
        raise _refuse(text, "no port" if host or address else "no host and port")
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise _refuse(text, f"port {port!r}")
    return host, int(port)


def _load(scheme: str, text: str) -> Any:
    entry = SCHEMES[scheme]
    try:
        return import_module(entry.module)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("brainforge"):
            raise
        raise _missing(entry, text, str(error.name)) from error


def _missing(entry: Scheme, text: str, package: str) -> InputError:
    return InputError(
        where=f"source {text!r}", expected=f"the package {package}", got="none installed",
        fix=f'pip install "brainforge[{entry.extra}]"' if entry.extra else "",
    )  # fmt: skip


def make_driver(text: str, **options: Any) -> Driver:
    """Return the driver of a source as the user writes it.

    Raises
    ------
    InputError
        The text is none of the forms, or a package that it needs is not there.
    """
    scheme, _, address = text.strip().partition(":")
    entry = SCHEMES.get(scheme)
    if entry is None:
        raise _refuse(text, f"{scheme!r}" if scheme else "nothing")
    if entry.host_port:
        split_host_port(address.partition(",")[0], text)  # options may follow
    elif not address and not entry.form.startswith(f"{scheme}["):
        raise _refuse(text, f"nothing behind {scheme}:")
    module = _load(scheme, text)
    said = {key: options.pop(key) for key in DESCRIBED if key in options}
    try:
        driver: Driver = module.driver(
            f"unix:{address}" if scheme == "unix" else address, **options
        )
    except ModuleNotFoundError as error:
        if not entry.extra:
            raise
        raise _missing(entry, text, str(error.name)) from error
    return Described(driver, Description(**said)) if said else driver


def open_source(
    text: str,
    *,
    block_s: float = 0.05,
    counter_channel: str | None = None,
    position: Position | None = None,
    info: Info | None = None,
    **options: Any,
) -> LiveSource:
    """Return a LiveSource, not yet connected: use it inside ``with``.

    Parameters
    ----------
    text : str
        ``lsl:NAME``, ``fieldtrip:HOST:PORT``, ``tcp:HOST:PORT``, ``unix:PATH``, ``replay:PATH``
        or ``phantom[:KEY=VALUE,...]``.
    block_s, counter_channel, position, info
        As `LiveSource` takes them.
    **options
        For the driver; ``sensors``, ``line_freq``, ``subject`` and ``bads`` (see `Description`)
        for any.

    Raises
    ------
    InputError
        The text is none of the forms, or a package that it needs is not there.
    """
    return LiveSource(
        make_driver(text, **options),
        block_s=block_s, counter_channel=counter_channel, position=position, info=info,
    )  # fmt: skip


def discover() -> list[dict[str, Any]]:
    """Return the sources that can be found now.

    Each has at least ``source``, as `open_source` takes it; a kind that cannot be looked for has
    ``scheme`` and ``error`` instead.
    """
    found: list[dict[str, Any]] = []
    # schemes that share a module are looked for once
    for scheme in {entry.module: scheme for scheme, entry in SCHEMES.items()}.values():
        try:
            look = getattr(_load(scheme, scheme), "discover", None)
            found += look() if look is not None else []
        except (InputError, OSError) as error:
            found.append({"scheme": scheme, "error": str(error)})
    return found
