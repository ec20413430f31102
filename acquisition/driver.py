"""Driver: the one thing that a transport has to provide. `LiveSource` makes a Source of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from brainforge.info import Info


@dataclass(frozen=True)
class Marker:
    """A trigger that came beside the samples.

    Exactly one of the two places is known: the counter of the sample it belongs to, or the
    source's time stamp.
    """

    code: int
    label: str = ""
    counter: int | None = None
    stamp: float | None = None


@dataclass(frozen=True)
class Packet:
    """Samples as a transport brought them, before they have their place on the absolute axis.

    Parameters
    ----------
    data : array, axes (sample, channel)
        In the source's own dtype, C order; the driver does not touch it again.
    counters : int64 array (sample,) | None
        The device's own sample numbers, where it has them, unwrapped or not.
    stamps : float64 array (sample,) | None
        Seconds on the source's clock, brought to this machine's `time.monotonic` with the
        ``clock_offset`` that is known at the time.
    arrival : float
        `time.monotonic` when it came.
    markers : tuple of Marker
    cause : str
        Why the samples before these are missing, where the sender knows that they never come.
    anew : bool
        Whether the device is known to count anew from these samples on: their counters have
        nothing to do with those before.
    """

    data: npt.NDArray[Any]
    arrival: float
    counters: npt.NDArray[np.int64] | None = None
    stamps: npt.NDArray[np.float64] | None = None
    markers: tuple[Marker, ...] = ()
    cause: str = ""
    anew: bool = False


class ConnectionLost(ConnectionError):
    """The connection is gone; `LiveSource` tries to open it again."""


class Ended(Exception):
    """The sender has said that nothing more will come."""


class Driver(Protocol):
    """One transport. Used by one thread, save `wake`.

    Attributes
    ----------
    name : str
        As the user would write it, ``lsl:NAME``.
    counter_bits : int | None
        Width after which the device's counter wraps; None where it never does.
    """

    name: str
    counter_bits: int | None

    def open(self, resume: int | None) -> Info:
        """Connect and return the stream's Info.

        Parameters
        ----------
        resume : int | None
            Device counter of the first sample still wanted, after a cut: what the sender has
            kept since then should come again. None at first.

        Raises
        ------
        InputError
            What is there is not what was asked for.
        ConnectionLost
            Nobody answers (yet).
        """

    def receive(self, timeout: float) -> list[Packet]:
        """Return what has come, waiting at most ``timeout`` seconds; nothing where nothing came.

        Raises
        ------
        ConnectionLost, Ended
        """

    def close(self) -> None:
        """Let go of the connection; it may be opened again."""

    def wake(self) -> None:
        """Let a waiting `receive` return at once; called from another thread."""
