"""SourceClock: how the source's clock goes against ours, measured and said, never corrected."""

from __future__ import annotations

from typing import Any, Final

from brainforge.acquisition.clock_fit import ClockFit
from brainforge.acquisition.notice import Notice, What
from brainforge.acquisition.sequence import Placed

#: a drift is said when it is larger than this, and again when it has changed by as much
SAID_PPM: Final = 30.0
#: and known to this
KNOWN_PPM: Final = 2.0
#: what is further off is another pace, a replay's for example, and no drift
PACE_PPM: Final = 1e5
#: jitter of arrival before it is known, seconds
ARRIVAL_S: Final = 5e-3


class SourceClock:
    """Two fits: the rate of the samples, and the clock that stamps them, both by arrival.

    Parameters
    ----------
    sfreq : float
        Nominal sampling rate.
    """

    def __init__(self, sfreq: float) -> None:
        self._sfreq = sfreq
        self._rate, self._stamps = ClockFit(ARRIVAL_S), ClockFit(ARRIVAL_S)
        self._said_ppm = self._first = 0.0

    @property
    def drift_ppm(self) -> float:
        """How much faster than its nominal rate the source samples, by our clock."""
        drift = self._rate.drift
        return -1e6 * drift / (1.0 + drift)

    def note(self, placed: Placed, *, tell_steps: bool) -> list[Notice]:
        """Take the last samples that came together; return what has become known by them.

        ``tell_steps`` is False where whoever placed the samples tells of steps.
        """
        found: list[Notice] = []
        at = placed.stop
        self._rate.update((at - 1) / self._sfreq, placed.arrival)
        if self._rate.n == 1:
            self._first = self._rate.offset
        if placed.stamps is not None:
            steps, before = self._stamps.steps, self._stamps.offset
            self._stamps.update(float(placed.stamps[-1]), placed.arrival)
            if self._stamps.steps > steps and tell_steps:
                detail = {"step_s": round(before - self._stamps.offset, 6)}
                cause = "the source's clock stepped"
                found.append(Notice(What.CLOCK, at, at, cause, False, detail))
        ppm = self.drift_ppm
        changed = abs(ppm - self._said_ppm) > SAID_PPM and abs(ppm) < PACE_PPM
        if changed and 1e6 * self._rate.drift_sd < KNOWN_PPM:
            self._said_ppm = ppm
            detail = {"drift_ppm": round(ppm, 1), "sfreq": self._sfreq * (1 + 1e-6 * ppm)}
            cause = "the source's rate is off its nominal rate; nothing is resampled"
            found.append(Notice(What.CLOCK, at, at, cause, False, detail))
        return found

    def report(self) -> dict[str, Any]:
        """Return it JSON-ready.

        ``drift_ppm``: how much faster than its nominal rate the source samples, by our clock;
        ``offset_s``: how long after their stamps samples arrive, or, without stamps, by how much
        they have fallen behind their nominal rate; ``residual_ms``: jitter of arrival;
        ``steps``: how often the source's clock stepped; ``n``: packets measured.
        """
        rate, stamps = self._rate, self._stamps
        fallen = rate.offset - self._first if rate.n else 0.0
        return {
            "offset_s": stamps.offset if stamps.n else fallen,
            "drift_ppm": self.drift_ppm, "n": rate.n,
            "residual_ms": 1e3 * rate.jitter if rate.n else 0.0, "steps": stamps.steps,
        }  # fmt: skip
