"""ClockFit: offset, drift, jitter and steps of one clock against another, in O(1) memory.

A two-state Kalman filter (offset and drift, both allowed to wander slowly) whose measurement
noise is learned as it goes. Outliers weigh less the further out they are; many that agree with
each other for a while are a step and move the offset at once.
"""

from __future__ import annotations

import math
from typing import Final

#: a measurement this many standard deviations out begins to weigh less
OUTLIER: Final = 3.0
#: this many agreeing outliers one after another, over this many seconds, are a step
AGREEING: Final = 8
LASTING_S: Final = 0.25
#: how fast drift wanders, per square root of a second: a ppm within half an hour
WANDER: Final = 2.5e-8
#: standard deviation of the drift before anything is known
DRIFT_SD: Final = 3e-4
#: measurements that the jitter is averaged over
MEMORY: Final = 2000
#: no clock is read more finely, seconds
FINEST: Final = 2e-7

_NONE: Final = (0, math.inf, -math.inf, 0.0, 0.0)


class ClockFit:
    """Fits ``y = x + offset + drift * (x - first x)``.

    Parameters
    ----------
    jitter_s : float
        What the jitter is thought to be before it has been seen.
    drift_sd : float
        Standard deviation of the drift, before anything is known.

    Attributes
    ----------
    n : int
        Measurements so far.
    drift : float
        How much faster ``y`` goes than ``x``; 1e-6 is one ppm.
    jitter : float
        Standard deviation of single measurements about the line, seconds, outliers clipped.
    steps : int
        Steps recognised.
    """

    def __init__(self, jitter_s: float = 2e-3, drift_sd: float = DRIFT_SD) -> None:
        self.n = self.steps = 0
        self.drift = 0.0
        self._x = self._offset = 0.0
        self._variance = jitter_s**2
        self._p = (math.inf, 0.0, drift_sd**2)
        # outliers one after another: how many, least, largest, sum, `y` of the first
        self._out = _NONE

    @property
    def jitter(self) -> float:
        """Standard deviation of single measurements, seconds."""
        return math.sqrt(self._variance)

    @property
    def offset(self) -> float:
        """``y - x`` at the newest measurement, seconds."""
        return self._offset

    @property
    def drift_sd(self) -> float:
        """Standard error of the drift."""
        return math.sqrt(self._p[2])

    def predict(self, x: float) -> float:
        """Return ``y`` at ``x``."""
        return x + self._offset + self.drift * (x - self._x)

    def uncertainty(self, x: float) -> float:
        """Return the standard deviation of a single measurement about `predict`, seconds."""
        a, _, _ = self._ahead(x)
        return math.sqrt(a + self._variance)

    def _ahead(self, x: float) -> tuple[float, float, float]:
        """Return the covariance of (offset, drift) at ``x``."""
        a, b, c = self._p
        dt = abs(x - self._x)
        return a + 2 * dt * b + dt * dt * c, b + dt * c, c + WANDER**2 * dt

    def update(self, x: float, y: float) -> float:
        """Take a measurement; return by how much it lay above the line, seconds."""
        if self.n == 0:
            self._x, self._offset, self.n = x, y - x, 1
            self._p = (self._variance, 0.0, self._p[2])
            return 0.0
        residual = y - self.predict(x)
        a, b, c = self._ahead(x)
        self._offset += self.drift * (x - self._x)
        self._x = x
        scale = math.sqrt(a + self._variance)
        noise = self._variance
        far = abs(residual) / (OUTLIER * scale)
        if far > 1.0:
            noise *= far * far
            if self._is_step(residual, y):
                return residual
        else:
            self._out = _NONE
        total = a + noise
        gain_offset, gain_drift = a / total, b / total
        self._offset += gain_offset * residual
        self.drift += gain_drift * residual
        self._p = (a - gain_offset * a, b - gain_offset * b, c - gain_drift * b)
        self.n += 1
        clipped = min(abs(residual), OUTLIER * scale) ** 2
        weight = 2.0 / min(self.n + 3, MEMORY)
        self._variance += weight * (max(clipped - a, 0.0) - self._variance)
        self._variance = max(self._variance, FINEST**2)
        return residual

    def _is_step(self, residual: float, y: float) -> bool:
        """Take an outlier; return whether it shows, with those before it, that ``y`` stepped."""
        n, low, high, total, since = self._out
        if n and (total > 0) != (residual > 0):
            n, low, high, total, since = _NONE
        n, total, since = n + 1, total + residual, since if n else y
        low, high = min(low, residual), max(high, residual)
        self._out = (n, low, high, total, since)
        mean = total / n
        if n < AGREEING or y - since < LASTING_S:
            return False
        if high - low > max(0.1 * abs(mean), 8 * self.jitter):
            self._out = _NONE
            return False
        self.step(mean)
        return True

    def step(self, size: float) -> None:
        """Move the line by ``size`` seconds, as the clock has."""
        self._offset += size
        self._p = (max(self._p[0], self._variance), self._p[1], self._p[2])
        self._out = _NONE
        self.steps += 1
