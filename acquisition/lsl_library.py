"""What is asked of pylsl: the library itself, streams that are there, and their clocks."""

from __future__ import annotations

import contextlib
import time
from typing import Any, Final

from brainforge.errors import InputError

#: how the source ids of our own outlets begin
OURS: Final = "brainforge:"
#: seconds between two looks at the offset that liblsl measures in a thread of its own
LOOK_S: Final = 2.0
#: seconds that the first measurement may take; it needs six answers, 64 ms apart
FIRST_S: Final = 2.0


def library() -> Any:
    """Return the module pylsl.

    Raises
    ------
    InputError
        It is not installed, or it finds no liblsl.
    """
    try:
        import pylsl
    except ImportError as error:
        raise InputError(
            where="LSL", expected="the package pylsl", got="none",
            fix="pip install 'brainforge[lsl]'",
        ) from error  # fmt: skip
    except RuntimeError as error:
        raise InputError(
            where="LSL", expected="the library liblsl", got="none that can be loaded",
            fix="install liblsl and name its file in PYLSL_LIB",
        ) from error  # fmt: skip
    return pylsl


def resolve(properties: dict[str, str], timeout: float, minimum: int = 1) -> list[Any]:
    """Return the streams that have all these properties, in order of host, name and source id.

    Parameters
    ----------
    properties : dict
        By LSL's names: name, type, source_id, hostname; none for all streams.
    timeout : float
        Seconds to wait at most.
    minimum : int
        Return as soon as there are so many.
    """
    pylsl = library()
    if properties:
        found = pylsl.resolve_bypred(predicate(properties), minimum=minimum, timeout=timeout)
    else:
        found = pylsl.resolve_streams(wait_time=timeout)
    return sorted(found, key=lambda s: (s.hostname(), s.name(), s.source_id()))


def predicate(properties: dict[str, str]) -> str:
    """Return the XPath that streams with all these properties fulfil."""
    return " and ".join(f"{key}={_quoted(value)}" for key, value in properties.items())


def _quoted(text: str) -> str:
    # XPath 1.0 knows no escapes
    quote = "'" if "'" not in text else '"'
    if quote in text:
        raise InputError(
            where="LSL", expected="a name with one kind of quotation mark", got=repr(text)
        )
    return f"{quote}{text}{quote}"


def clock_offset(pylsl: Any) -> float:
    """Return what has to be added to liblsl's clock to give `time.monotonic`.

    They are the same clock on Linux; it is measured all the same, within a microsecond.
    """
    best, width = 0.0, float("inf")
    for _ in range(5):
        before = time.monotonic()
        theirs = pylsl.local_clock()
        after = time.monotonic()
        if after - before < width:
            best, width = (before + after) / 2 - theirs, after - before
    return best


class Correction:
    """What brings an inlet's time stamps to `time.monotonic`. Never blocks after `start`.

    liblsl measures the offset of the sender's clock in a thread of its own, every 2 s; the value
    is looked at as often. Until the sender has answered (never, where UDP is blocked) the first
    samples count as taken when they came.

    Parameters
    ----------
    inlet : pylsl.StreamInlet
    """

    def __init__(self, inlet: Any) -> None:
        self._pylsl, self._inlet = library(), inlet
        self._ours = clock_offset(self._pylsl)
        self._offset: float | None = None
        self._next = 0.0
        self._ask(0.0)  # sets off the thread that measures

    def start(self, timeout: float = FIRST_S) -> None:
        """Wait for the first measurement."""
        self._ask(timeout)

    def _ask(self, timeout: float) -> None:
        # unknown at first, and forgotten where liblsl has found the sender again
        with contextlib.suppress(self._pylsl.util.TimeoutError):
            self._offset = self._ours + self._inlet.time_correction(timeout)

    def offset(self, now: float, last: float) -> float:
        """Return what has to be added to a stamp.

        Parameters
        ----------
        now : float
            `time.monotonic`.
        last : float
            The stamp of the last sample that has come.
        """
        if now >= self._next:
            self._next = now + LOOK_S
            self._ask(0.0)
        if self._offset is None:
            self._offset = now - last
        return self._offset
