"""Run: samples whose counters follow each other; Doubt: runs that are not yet understood."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.acquisition.driver import Marker


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """Samples whose counters follow each other.

    Parameters
    ----------
    first : int
        Counter of the first sample, unwrapped.
    data : array, axes (sample, channel)
    arrival : float
        `time.monotonic` when they came.
    stamps : float64 array (sample,) | None
    markers : tuple of Marker
        They came with the last sample.
    overtaken : bool
        Whether later samples came before these.
    early : bool
        Whether they came before time says that they can have been taken.
    """

    first: int
    data: npt.NDArray[Any]
    arrival: float
    stamps: npt.NDArray[np.float64] | None
    markers: tuple[Marker, ...] = ()
    overtaken: bool = False
    early: bool = False

    @property
    def stop(self) -> int:
        """Counter one past the last sample."""
        return self.first + len(self.data)

    def part(self, first: int, stop: int) -> Run:
        """Return the samples with these counters; the markers stay with the last of them."""
        if first == self.first and stop == self.stop:
            return self
        a, b = first - self.first, stop - self.first
        stamps = None if self.stamps is None else self.stamps[a:b]
        markers = self.markers if stop == self.stop else ()
        return replace(self, first=first, data=self.data[a:b], stamps=stamps, markers=markers)


class Verdict(Enum):
    """What doubtful runs are."""

    OPEN, OLD, ANEW = range(3)


class Doubt:
    """Runs whose counter fell back or leapt: either old or stray samples, or a new count.

    A device that counts anew goes on counting, at the pace of time, and nothing comes of the old
    count. Samples that came again do so at once or with the old count going on.

    Parameters
    ----------
    sfreq : float
    hold_s : float
        How long a new count that begins shortly behind the old one has to go on.
    near_s : float
        What lies further back than this can hardly come again.
    most : int
        Runs that may be in doubt.
    """

    def __init__(self, sfreq: float, hold_s: float, near_s: float, most: int) -> None:
        self._sfreq, self._hold_s, self._near, self._most = sfreq, hold_s, near_s * sfreq, most
        self.runs: list[Run] = []

    def follows(self, run: Run) -> bool:
        """Whether a run goes on where the last one ended."""
        return not self.runs or self.runs[-1].stop == run.first

    def take(self) -> list[Run]:
        """Return the runs; there is no doubt any more."""
        runs, self.runs = self.runs, []
        return runs

    def due(self) -> float:
        """Return when it has to be decided; inf where nothing is in doubt."""
        if not self.runs:
            return math.inf
        first = self.runs[0]
        return first.arrival + self._hold_s + 2.5 * len(first.data) / self._sfreq

    def far(self, expected: int) -> bool:
        """Whether the first run lies where nothing old can come from."""
        first = self.runs[0]
        return first.stop > expected or expected - first.first > self._near

    def verdict(self, expected: int, now: float) -> Verdict:
        """Say what the runs are, or that it is open, by the order and the pace they came in."""
        first, last = self.runs[0], self.runs[-1]
        spent, far = last.arrival - first.arrival, self.far(expected)
        enough = len(self.runs) > 1 if far else spent >= self._hold_s
        at_pace = last.stop - first.first <= 3 * (spent + self._hold_s) * self._sfreq
        if enough and at_pace:
            return Verdict.ANEW
        if now >= self.due() or len(self.runs) > self._most:
            return Verdict.ANEW if far else Verdict.OLD
        return Verdict.OPEN
