"""Heartbeats in one trace: an ECG channel, or a spatial filter or component that sees the heart.

The trace is limited to the QRS band of 5-35 Hz. A first round takes peaks of the rectified
trace above half of the local height; two more rounds take peaks of the match with the mean beat
found so far. Beats missed at first are searched for in intervals that are too long, as Pan and
Tompkins 1985 (IEEE Trans. Biomed. Eng. 32) do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.errors import KernelInputError
from brainforge.kernels.band_limit import Runs, as_runs, band_limit
from brainforge.kernels.peaks import local_maxima, spaced_peaks, windows

QRS_BAND = (5.0, 35.0)
#: seconds: no second beat within it; half width of the beat's shape; window that holds a beat
REFRACTORY, HALF_SHAPE, WINDOW = 0.3, 0.12, 2.0
#: such windows on either side that tell the local height
NEAR_WINDOWS = 7
#: a beat reaches this share of the local height; a missed one, searched for, that share
SHARE, SEARCH_SHARE = 0.5, 0.3
#: what makes a train of peaks a heart: height over what lies between, shape, beats per minute
MIN_CONTRAST, MIN_SHAPE, RATES = 1.35, 0.6, (25.0, 220.0)

Array = npt.NDArray[Any]
Index = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Heartbeats:
    """Result of `find_heartbeats`.

    Parameters
    ----------
    samples : int64 array, axes (beat,)
        Columns of the trace where the R peak is.
    contrast : float
        Median match at the beats over the 95th percentile of the peaks between them.
    shape : float
        Median correlation of a beat with the mean beat, 0..1.
    rate_per_min : float
        60 over the median interval between beats; NaN below two beats.
    """

    samples: Index
    contrast: float
    shape: float
    rate_per_min: float

    @property
    def plausible(self) -> bool:
        """Whether the peaks behave as a heart does."""
        regular = RATES[0] <= self.rate_per_min <= RATES[1]
        return regular and self.contrast >= MIN_CONTRAST and self.shape >= MIN_SHAPE


NONE = Heartbeats(np.zeros(0, np.int64), 0.0, 0.0, float("nan"))


def find_heartbeats(trace: Array, sfreq: float, *, runs: Runs | None = None) -> Heartbeats:
    """Return the heartbeats of a trace; whether they are to be believed says ``plausible``.

    Parameters
    ----------
    trace : float array, axes (sample,)
        Any unit, either polarity.
    sfreq : float
        In Hz, at least 60.
    runs : int array, axes (run, start/stop) | None
        Continuous stretches.

    Raises
    ------
    KernelInputError
        Not one-dimensional, not finite, or a rate too low for the QRS complex.
    """
    trace = np.asarray(trace, dtype=np.float64)
    if trace.ndim != 1 or not np.isfinite(trace).all():
        raise KernelInputError(
            where="trace", expected="finite numbers, one axis", got=f"shape {trace.shape} or NaN"
        )
    if sfreq < 60:
        raise KernelInputError(where="sfreq", expected="at least 60 Hz", got=f"{sfreq:g} Hz")
    bounds = as_runs(runs, len(trace))
    if not len(bounds) or len(trace) < WINDOW * sfreq or not trace.any():
        return NONE
    y = band_limit(trace, sfreq, *QRS_BAND, runs=bounds)
    half = int(HALF_SHAPE * sfreq)
    height = np.abs(y)
    beats = _beats(height, sfreq, bounds)
    for _ in range(2):
        cut, kept = windows(y, beats, half, half + 1, bounds)
        if len(kept) < 2:
            return NONE
        height = _match(y, _mean_beat(cut, half), bounds)
        beats = _beats(height, sfreq, bounds)
    cut, kept = windows(y, beats, half, half + 1, bounds)
    if len(kept) < 2:
        return NONE
    shape = _shape(cut)
    offset = int(np.argmax(np.abs(cut.mean(axis=0)))) - half
    contrast = _contrast(height, beats, sfreq, bounds)
    beats = np.clip(beats + offset, 0, len(trace) - 1)
    return Heartbeats(beats, contrast, shape, median_rate(beats, sfreq, bounds))


def median_rate(samples: Index, sfreq: float, runs: Runs) -> float:
    """Return 60 over the median interval in seconds between events of the same run."""
    run = np.searchsorted(runs[:, 0], samples, side="right")
    gaps = np.diff(samples)[np.diff(run) == 0]
    return float(60 * sfreq / np.median(gaps)) if len(gaps) else float("nan")


def _mean_beat(cut: Array, half: int) -> Array:
    """Return the mean beat of unit norm, each beat's polarity set by its own peak."""
    mean = cut.mean(axis=0)
    if np.abs(mean).max() < 0.5 * np.abs(cut[:, half]).mean():
        # polarities differ between the first peaks: follow the majority of the largest
        mean = (cut * np.sign(cut[:, half])[:, None]).mean(axis=0)
    norm = float(np.linalg.norm(mean))
    return mean / norm if norm > 0 else mean


def _match(y: Array, beat: Array, runs: Runs) -> Array:
    out = np.zeros_like(y)
    for start, stop in runs:
        if stop - start >= len(beat):
            out[start:stop] = np.correlate(y[start:stop], beat, mode="same")
    return out


def _local_height(height: Array, sfreq: float) -> Array:
    """Return the typical height of a beat around each sample: a running median of maxima."""
    size = int(WINDOW * sfreq)
    n = max(len(height) // size, 1)
    maxima = np.array([part.max() for part in np.array_split(height, n)])
    smooth = _running_median(maxima, NEAR_WINDOWS)
    centres = (np.arange(n) + 0.5) * (len(height) / n)
    return np.interp(np.arange(len(height)), centres, smooth)


def _running_median(x: Array, half: int) -> Array:
    """Return the median of each value and its neighbours, fewer of them at the ends."""
    n, size = len(x), 2 * half + 1
    out = np.empty(n)
    if n >= size:
        out[half : n - half] = np.median(np.lib.stride_tricks.sliding_window_view(x, size), axis=1)
    for i in (*range(min(half, n)), *range(max(n - half, half), n)):
        out[i] = np.median(x[max(i - half, 0) : i + half + 1])
    return out


def _beats(height: Array, sfreq: float, runs: Runs) -> Index:
    local = _local_height(height, sfreq)
    candidates = local_maxima(height, SEARCH_SHARE * local, runs)
    strong = candidates[height[candidates] > SHARE * local[candidates]]
    distance = int(REFRACTORY * sfreq)
    beats = strong[spaced_peaks(height[strong], strong, distance)]
    if len(beats) < 4:
        return beats
    found = [beats]
    typical = np.median(np.diff(beats))
    long = np.flatnonzero(np.diff(beats) > 1.6 * typical)
    first = np.searchsorted(candidates, beats[long] + 0.6 * typical, side="right")
    last = np.searchsorted(candidates, beats[long + 1] - 0.6 * typical, side="left")
    for a, b in zip(first, last):
        near = candidates[a:b]
        found.append(near[spaced_peaks(height[near], near, int(0.7 * typical))])
    return np.unique(np.concatenate(found))


def _shape(cut: Array) -> float:
    mean = cut.mean(axis=0)
    norms = np.linalg.norm(cut, axis=1) * np.linalg.norm(mean)
    return float(np.median(cut @ mean / np.where(norms > 0, norms, 1.0)))


def _contrast(height: Array, beats: Index, sfreq: float, runs: Runs) -> float:
    between = height.copy()
    reach = int(HALF_SHAPE * sfreq)
    for offset in range(-reach, reach + 1):
        between[np.clip(beats + offset, 0, len(height) - 1)] = 0.0
    peaks = local_maxima(between, 0.0, runs)
    rest = float(np.percentile(between[peaks], 95)) if len(peaks) else 0.0
    return float(np.median(height[beats]) / rest) if rest > 0 else float("inf")
