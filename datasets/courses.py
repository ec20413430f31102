"""Seeded random time courses that can be asked for in any order, piece by piece.

Every course is made on a fixed grid of pieces of ``hop`` samples. What a piece holds depends
on the seed, the stream and the piece's index alone, so any way of asking gives the same
numbers, and nothing has to be kept from one piece to the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt
import scipy.fft

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]


class Stream(IntEnum):
    """Independent streams of random numbers of one phantom."""

    SOURCES = 1
    PLACEMENT = 2
    BRAIN_NOISE = 3
    NOISE_DIPOLES = 4
    SENSOR_NOISE = 5
    SENSOR_DRIFT = 6
    BACKGROUND_DRIFT = 7
    INTERFERENCE = 8
    MAINS = 9
    MOVEMENT = 10
    HEART = 11
    BLINKS = 12
    MUSCLE = 13
    FAULTS = 14
    GAPS = 15


def generator(seed: int, *key: int) -> np.random.Generator:
    """Return the random generator of one stream, or of one piece of it."""
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence(seed, spawn_key=key)))


@dataclass(frozen=True)
class Lag:
    """Row ``target`` follows row ``origin`` by ``delay`` seconds with coherence ``strength``."""

    origin: int
    target: int
    strength: float
    delay: float


@dataclass(frozen=True)
class ShapedNoise:
    """Gaussian noise with a given amplitude density for each row.

    Periodic pieces of twice the hop are drawn in the frequency domain and joined by sine
    windows, which keeps the power constant in time.

    Parameters
    ----------
    seed, stream : int
    hop : int
        Samples of a piece.
    sfreq : float
    density : array, axes (row, frequency)
        Amplitude density, unit/sqrt(Hz), on ``rfftfreq(2 * hop, 1 / sfreq)``.
    lags : tuple of Lag
        Rows that follow others. Origin and target should have the same shape.
    """

    seed: int
    stream: Stream
    hop: int
    sfreq: float
    density: Float64
    lags: tuple[Lag, ...] = ()

    def segment(self, index: int) -> Float32:
        """Return one windowed piece of ``2 * hop`` samples, axes (row, sample)."""
        rows, n_freqs = self.density.shape
        length = 2 * self.hop
        draw = generator(self.seed, self.stream, index + 1)
        white = draw.standard_normal((rows, 2 * n_freqs), dtype=np.float32).view(np.complex64)
        freqs = np.fft.rfftfreq(length, 1.0 / self.sfreq)
        for lag in self.lags:
            own = np.float32(np.sqrt(1.0 - lag.strength**2))
            turn = (lag.strength * np.exp(-2j * np.pi * freqs * lag.delay)).astype(np.complex64)
            white[lag.target] = own * white[lag.target] + turn * white[lag.origin]
        # one-sided density d: E|X|^2 = d^2 sfreq length / 2, halved over the two parts
        white *= (self.density * (np.sqrt(self.sfreq * length) / 2.0)).astype(np.float32)
        white[:, 0] = 0.0
        white[:, -1] = 0.0
        out: Float32 = scipy.fft.irfft(white, length, axis=1, overwrite_x=True)
        window = np.sin(np.pi * (np.arange(length) + 0.5) / length)
        out *= window.astype(np.float32)
        return out


class OverlapAdd:
    """Joins the pieces of a ShapedNoise; keeps the last one, so reading in order is cheap."""

    def __init__(self, noise: ShapedNoise) -> None:
        self._noise = noise
        self._last: tuple[int, Float32] | None = None

    def piece(self, index: int) -> Float32:
        """Return samples [index * hop, (index + 1) * hop), axes (row, sample)."""
        hop = self._noise.hop
        if self._last is None or self._last[0] != index - 1:
            before = self._noise.segment(index - 1)
        else:
            before = self._last[1]
        current = self._noise.segment(index)
        self._last = (index, current)
        return before[:, hop:] + current[:, :hop]


@dataclass(frozen=True)
class SlowNoise:
    """Drift: cubic B-splines through random knots, at several scales of equal variance.

    Parameters
    ----------
    seed, stream : int
    rows : int
    sfreq : float
    scales : sequence of float
        Distances between knots in seconds. Scales a factor apart give roughly 1/f.
    """

    seed: int
    stream: Stream
    rows: int
    sfreq: float
    scales: Sequence[float] = (4.0, 16.0, 64.0)

    def piece(self, start: int, stop: int) -> tuple[Float32, Float32]:
        """Return knot values (row, knot) and splines (knot, sample); their product is the drift.

        The product has unit variance. Handing out the factors lets a caller scale the rows
        and multiply into its own memory.
        """
        values: list[Float64] = []
        splines: list[Float64] = []
        # a cubic B-spline on unit knots keeps 0.479 of the knots' variance on average
        norm = 1.0 / np.sqrt(0.4794 * len(self.scales))
        for number, scale in enumerate(self.scales):
            at = np.arange(start, stop) / (self.sfreq * scale)
            first, last = int(np.floor(at[0])) - 1, int(np.floor(at[-1])) + 2
            knots = np.arange(first, last + 1)
            splines.append(norm * _cubic_spline(at[None, :] - knots[:, None]))
            values.extend(
                generator(self.seed, self.stream, number, int(k) + 4).standard_normal(self.rows)
                for k in knots
            )
        return (
            np.ascontiguousarray(np.array(values, dtype=np.float32).T),
            np.concatenate(splines).astype(np.float32),
        )


def _cubic_spline(x: Float64) -> Float64:
    """Cubic B-spline with unit knot distance, support (-2, 2)."""
    a = np.abs(x)
    inner = 2.0 / 3.0 - a**2 + a**3 / 2.0
    outer = np.clip(2.0 - a, 0.0, None) ** 3 / 6.0
    return np.where(a < 1.0, inner, outer)


def event_times(
    draw: np.random.Generator, duration: float, mean: float, spread: float, first: float = 0.0
) -> Float64:
    """Return the times of a renewal process with gamma-distributed intervals, in seconds.

    ``spread`` is the standard deviation of the intervals over their ``mean``. Times are drawn
    one after another, so a longer duration only adds events.
    """
    shape = 1.0 / spread**2
    out: list[float] = []
    at = first + mean * draw.random()
    while at < duration:
        out.append(at)
        at += draw.gamma(shape, mean / shape)
    return np.array(out)


def add_events(
    row: Float32, start: int, samples: npt.NDArray[np.int64], gains: Float64,
    template: Float32, before: int,
) -> None:  # fmt: skip
    """Add a template at every event that touches this piece of a course.

    ``row`` begins at absolute sample ``start``; the template's own sample ``before`` falls on
    the event.
    """
    stop = start + len(row)
    first = np.searchsorted(samples, start - (len(template) - before), side="right")
    last = np.searchsorted(samples, stop + before, side="left")
    for sample, gain in zip(samples[first:last], gains[first:last], strict=True):
        at = int(sample) - before
        lo, hi = max(at, start), min(at + len(template), stop)
        if lo < hi:
            row[lo - start : hi - start] += np.float32(gain) * template[lo - at : hi - at]
