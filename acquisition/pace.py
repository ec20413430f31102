"""Pace: what time says about samples, where their counter alone cannot tell."""

from __future__ import annotations

import math
from typing import Final

from brainforge.acquisition.run import Run

#: seconds that a leap of the counter may exceed the time that has passed
LEAP_S: Final = 10.0
#: seconds that the time passed may be wrong by
SLACK_S: Final = 1.0
#: pauses of time stamps that are no loss, seconds
JITTER_S: Final = 5e-3


class Pace:
    """Remembers when the last sample came and was taken.

    Parameters
    ----------
    sfreq : float
    apart_s : float
        Pauses of arrival that are no loss, seconds.
    due : float
        `time.monotonic` at which the next sample is due; NaN where unknown.
    """

    def __init__(self, sfreq: float, apart_s: float, due: float) -> None:
        self._sfreq, self._apart_s = sfreq, apart_s
        self.arrival = self.stamp = due - 1 / sfreq
        self._began = math.nan
        self._since = 0

    def note(self, run: Run) -> None:
        """Take the samples that were handed out last."""
        self.arrival = run.arrival
        self.stamp = math.nan if run.stamps is None else float(run.stamps[-1])
        if math.isnan(self._began):
            self._began = run.arrival
        else:
            self._since += len(run.data)

    def dated(self, run: Run) -> bool:
        """Whether time stamps tell when this run was taken after the last one."""
        return run.stamps is not None and math.isfinite(self.stamp)

    def idle(self, run: Run, *, waiting: bool) -> int:
        """Return how many samples fit in between the last one and this run, at least 0.

        ``waiting`` says that others lie in between.
        """
        arrived = waiting or not self.dated(run)
        seconds = self._arrived(run) if arrived else self._pause(run)
        return max(round(seconds * self._sfreq), 0) if math.isfinite(seconds) else 0

    def _arrived(self, run: Run) -> float:
        return run.arrival - self.arrival - len(run.data) / self._sfreq

    def _pause(self, run: Run) -> float:
        assert run.stamps is not None
        return float(run.stamps[0]) - self.stamp - 1 / self._sfreq

    def missing(self, run: Run) -> tuple[int, str]:
        """Return how many samples were lost before this run by time alone, and by which time."""
        arrived = self._arrived(run)
        if not math.isfinite(arrived):
            return 0, "nothing known"
        if self.dated(run):
            taken = self._pause(run)
            # a device that began anew may have begun its clock anew
            if abs(taken - arrived) <= SLACK_S:
                return (round(taken * self._sfreq) if taken > JITTER_S else 0), "time stamps"
        lost = round(arrived * self._sfreq) if arrived > self._apart_s else 0
        return lost, "arrival times"

    def leaps(self, run: Run, ahead: int, idle: int) -> bool:
        """Whether a counter is further ahead than the time passed can explain."""
        if ahead <= LEAP_S * self._sfreq + 2 * idle or math.isnan(self.arrival):
            return False
        return self.dated(run) or not self._hurried(run.arrival)

    def _hurried(self, now: float) -> bool:
        """Whether samples come faster than they can have been taken, as in a replay."""
        elapsed = now - self._began
        return not elapsed > 0 or self._since / self._sfreq > 1.5 * elapsed + SLACK_S

    def is_old(self, run: Run, behind: int) -> bool:
        """Whether time stamps show that a run was taken ``behind`` samples ago."""
        if not self.dated(run):
            return False
        assert run.stamps is not None
        ago, counted = self.stamp - float(run.stamps[-1]), behind / self._sfreq
        return abs(ago - counted) <= 0.5 * (counted + len(run.data) / self._sfreq)

    def sample_at(self, stamp: float, last: int, run: Run | None) -> int:
        """Return the sample nearest to a time, where ``last`` ends ``run`` or was the last."""
        known = self.stamp if math.isfinite(self.stamp) else self.arrival
        if run is not None:
            known = run.arrival if run.stamps is None else float(run.stamps[-1])
        return last + round((stamp - known) * self._sfreq) if math.isfinite(known) else last
