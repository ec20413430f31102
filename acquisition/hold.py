"""Hold: runs that came too early wait here for those before them."""

from __future__ import annotations

import math
from bisect import insort

from brainforge.acquisition.run import Run


class Hold:
    """Runs in the order of their counters, without overlaps.

    Parameters
    ----------
    wait_s : float
        How long they wait.
    most : int
        How many may wait.
    """

    def __init__(self, wait_s: float, most: int) -> None:
        self._wait_s, self._most = wait_s, most
        self.runs: list[Run] = []

    def __bool__(self) -> bool:
        return bool(self.runs)

    @property
    def first(self) -> int:
        """Counter of the first sample held."""
        return self.runs[0].first

    def pop(self) -> Run:
        """Take the first run out."""
        return self.runs.pop(0)

    def put(self, run: Run) -> list[tuple[int, int]]:
        """Take what is new of a run; return what was there already, as counters."""
        twice: list[tuple[int, int]] = []
        at = run.first
        for other in list(self.runs):
            lo, hi = max(at, other.first), min(run.stop, other.stop)
            if lo >= hi:
                continue
            self._add(run, at, lo)
            twice.append((lo, hi))
            at = hi
        self._add(run, at, run.stop)
        return twice

    def _add(self, run: Run, lo: int, hi: int) -> None:
        if lo < hi:
            insort(self.runs, run.part(lo, hi), key=lambda held: held.first)

    def due(self, progress: float) -> float:
        """Return when the first has waited long enough for what lies before it.

        ``progress`` is when the last sample came that was handed out: while the count goes on
        below those who wait, nothing is lost yet.
        """
        came = min((run.arrival for run in self.runs), default=math.inf)
        return max(came, progress if math.isfinite(progress) else came) + self._wait_s

    def over(self, now: float, progress: float) -> bool:
        """Whether what lies before the first has to be given up."""
        return now >= self.due(progress) or len(self.runs) > self._most

    def strays(self, now: float, lo: int, hi: int) -> list[Run]:
        """Take out the runs whose counter cannot be right.

        They came before their time, and now the count itself has reached them (counters [lo, hi))
        or has gone on for ten times the wait without doing so.
        """
        strays = [run for run in self.runs if run.early and self._is_stray(run, now, lo, hi)]
        if strays:
            self.runs = [run for run in self.runs if run not in strays]
        return strays

    def _is_stray(self, run: Run, now: float, lo: int, hi: int) -> bool:
        waits = 1 if run.first <= hi and lo < run.stop else 10
        return now - run.arrival > waits * self._wait_s
