"""Blinks in one trace: an EOG channel, or a component that sees the eyes.

A blink is a deflection of one polarity, 0.1-0.5 s long, in the band of 1-10 Hz, that stands out
of the rest of the trace. Heights are judged against the robust spread of the trace and against
the other blinks, not against the extremes: one movement must not hide all blinks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.errors import KernelInputError
from brainforge.kernels.band_limit import Runs, as_runs, band_limit
from brainforge.kernels.peaks import local_maxima, spaced_peaks, windows

BLINK_BAND = (1.0, 10.0)
#: seconds: nearest two blinks; half width of the shape
DISTANCE, HALF_SHAPE = 0.3, 0.2
#: seconds around a blink in which its trough is looked for
TROUGH = 0.4
#: lowest height in robust standard deviations, and as a share of the typical blink's
MIN_HEIGHT, SHARE = 5.0, 0.35
#: lowest correlation with the typical blink
MIN_SHAPE = 0.5
#: a weaker blink, once three have shown the shape: its lowest height and correlation
WEAK_HEIGHT, WEAK_SHAPE = 3.5, 0.85

Array = npt.NDArray[Any]
Index = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Blinks:
    """Result of `find_blinks`.

    Parameters
    ----------
    samples : int64 array, axes (blink,)
        Columns of the trace at the blinks' peaks.
    contrast : float
        Median height over the robust standard deviation of the trace; 0 without blinks.
    polarity : int
        1 where blinks point up in the trace, -1 where down.
    one_sided : float
        Median over blinks of the height over the sum of it and of the deepest trough around,
        0..1: a rhythm or a jump goes both ways and is near 0.5, a blink is above.
    """

    samples: Index
    contrast: float
    polarity: int
    one_sided: float = 0.0


def find_blinks(trace: Array, sfreq: float, *, runs: Runs | None = None) -> Blinks:
    """Return the blinks of a trace.

    Parameters
    ----------
    trace : float array, axes (sample,)
        Any unit, either polarity.
    sfreq : float
        In Hz, at least 30.
    runs : int array, axes (run, start/stop) | None
        Continuous stretches.

    Raises
    ------
    KernelInputError
        Not one-dimensional, not finite, or a rate too low.
    """
    trace = np.asarray(trace, dtype=np.float64)
    if trace.ndim != 1 or not np.isfinite(trace).all():
        raise KernelInputError(
            where="trace", expected="finite numbers, one axis", got=f"shape {trace.shape} or NaN"
        )
    if sfreq < 30:
        raise KernelInputError(where="sfreq", expected="at least 30 Hz", got=f"{sfreq:g} Hz")
    bounds = as_runs(runs, len(trace))
    inside = np.concatenate([np.arange(a, b) for a, b in bounds] or [np.zeros(0, np.int64)])
    if len(inside) < sfreq or not trace[inside].any():
        return Blinks(np.zeros(0, np.int64), 0.0, 1)
    y = band_limit(trace, sfreq, *BLINK_BAND, runs=bounds)
    spread = float(np.median(np.abs(y[inside])) / 0.6745)
    if not spread > 0:
        return Blinks(np.zeros(0, np.int64), 0.0, 1)
    best = [_one_polarity(sign * y, sfreq, spread, bounds) for sign in (1, -1)]
    heights = [float(np.sum(sign * y[b])) for sign, b in zip((1, -1), best)]
    polarity = 1 if heights[0] >= heights[1] else -1
    samples = best[0] if polarity == 1 else best[1]
    contrast = float(np.median(polarity * y[samples]) / spread) if len(samples) else 0.0
    one_sided = _one_sided(polarity * y, samples, sfreq, bounds)
    return Blinks(samples, contrast, polarity, one_sided)


def _one_sided(y: Array, samples: Index, sfreq: float, runs: Runs) -> float:
    reach = int(TROUGH * sfreq)
    cut, kept = windows(y, samples, reach, reach + 1, runs)
    if not len(kept):
        return 0.0
    height, trough = cut[:, reach], np.maximum(-cut.min(axis=1), 0.0)
    return float(np.median(height / (height + trough)))


def _one_polarity(y: Array, sfreq: float, spread: float, runs: Runs) -> Index:
    peaks = local_maxima(y, MIN_HEIGHT * spread, runs)
    peaks = peaks[spaced_peaks(y[peaks], peaks, int(DISTANCE * sfreq))]
    if not len(peaks):
        return peaks
    # the upper half of the heights is what a blink looks like, the rest may be something else
    typical = float(np.median(np.sort(y[peaks])[len(peaks) // 2 :]))
    peaks = peaks[y[peaks] > SHARE * typical]
    half = int(HALF_SHAPE * sfreq)
    cut, kept = windows(y, peaks, half, half + 1, runs)
    if len(kept) < 3:
        return peaks
    shape = np.median(cut, axis=0)
    peaks = np.delete(peaks, kept[_match(cut, shape) < MIN_SHAPE])
    weak = local_maxima(y, max(WEAK_HEIGHT * spread, SHARE * typical), runs)
    cut, kept = windows(y, weak, half, half + 1, runs)
    weak = weak[kept[_match(cut, shape) >= WEAK_SHAPE]]
    both = np.union1d(peaks, weak)
    return both[spaced_peaks(y[both], both, int(DISTANCE * sfreq))]


def _match(cut: Array, shape: Array) -> Array:
    """Return the correlation of each stretch with the typical blink."""
    norms = np.linalg.norm(cut, axis=1) * np.linalg.norm(shape)
    return cut @ shape / np.where(norms > 0, norms, 1.0)
