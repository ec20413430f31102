"""Sequencer: what gives packets their place on the absolute axis, and what it hands out.

Two keep to it: `brainforge.acquisition.by_counter` (exact) and `brainforge.acquisition.by_stamp`
(estimated).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from brainforge.acquisition.driver import Packet
from brainforge.acquisition.notice import Notice
from brainforge.recording import Event


@dataclass(frozen=True)
class Position:
    """Where a stream was left: what a recorder that takes over passes on.

    Parameters
    ----------
    sample : int
        Absolute index of the next sample.
    counter : int
        The device's number of that sample, unwrapped; -1 where it has none.
    stamp : float
        `time.monotonic` at which that sample is due, by the source's clock; NaN where unknown.
    """

    sample: int
    counter: int = -1
    stamp: float = math.nan


@dataclass(frozen=True, slots=True)
class Placed:
    """Samples in their place.

    Parameters
    ----------
    data : array, axes (sample, channel)
    start : int
        Absolute index of the first sample.
    counter : int
        The device's number of the first sample, unwrapped; -1 where it has none.
    arrival : float
        `time.monotonic` when they came.
    stamps : float64 array (sample,) | None
        When each was taken, by the source's clock.
    """

    data: npt.NDArray[Any]
    start: int
    counter: int
    arrival: float
    stamps: npt.NDArray[np.float64] | None

    @property
    def stop(self) -> int:
        """Absolute index one past the last sample."""
        return self.start + len(self.data)


#: what a sequencer hands out, in order; a notice stands before the samples behind it
Item = Placed | Notice | Event


class Sequencer(Protocol):
    """Puts packets in their place. The absolute index never goes back.

    Attributes
    ----------
    exact : bool
        Whether places rest on a counter.
    """

    exact: bool

    @property
    def sample(self) -> int:
        """Absolute index of the next sample to be handed out."""

    @property
    def wanted(self) -> int | None:
        """Device counter of the first sample still wanted; None where there is none."""

    def push(self, packet: Packet) -> list[Item]:
        """Take one packet, return what has found its place."""

    def due(self) -> float:
        """Return the `time.monotonic` at which `tick` has something to do; inf for never."""

    def tick(self, now: float) -> list[Item]:
        """Return what has waited long enough."""

    def interrupted(self, cause: str) -> list[Item]:
        """Wait for nothing more: the connection is gone. ``cause`` explains the next gap."""

    def finish(self) -> list[Item]:
        """Return what still waits: nothing more will come."""
