"""Calibration of Artifact Subspace Reconstruction: what clean data look like.

Mullen et al. (2015, IEEE Trans Biomed Eng 62:2553-2567), made for many channels: the geometric
median of the blocks' covariances is found in the space of the blocks (their inner products are
one matrix product), and one threshold more is fitted (`AsrModel.level`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt
from scipy.linalg import eigh
from scipy.special import gamma, gammaincinv

from brainforge.errors import KernelInputError
from brainforge.kernels.dispatch import kernel
from brainforge.kernels.iir import sosfilt, steady_state

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
#: eigenvalues below this share of the largest hold no signal
_FLOOR = 1e-10
_BLOCK_S = 0.25  # blocks whose covariances the median is taken of
#: part of the clean values' distribution that is fitted, and shapes that are tried
_QUANTILES = (0.022, 0.6)
_SHAPES = np.arange(1.7, 3.51, 0.15)
_DROPOUTS, _LEAST_CLEAN, _STEP = 0.1, 0.25, 0.01
_BEST = 100  # one in so many of the fits is averaged


@dataclass(frozen=True)
class AsrModel:
    """Clean data in words of their principal components.

    Parameters
    ----------
    components : float64 array, axes (component, channel)
        From channels, divided by ``scale``, to components; orthonormal rows.
    scale : float64 array, axes (channel,)
        Typical RMS of the channels.
    variance : float64 array, axes (component,)
        Of the clean components.
    thresholds : float64 array, axes (component,)
        RMS in a window above which a component is no longer clean.
    level : float
        Mean square, in units of the thresholds, above which a direction that was picked for
        being the largest is no longer clean; at least 1.
    n_window : int
        Samples of a window.
    most : int
        Directions that may be taken for artifacts at a time.
    shaping : float64 array, axes (section, 6)
        Filter before anything is judged.
    """

    components: F64
    scale: F64
    variance: F64
    thresholds: F64
    level: float
    n_window: int
    most: int
    shaping: F64

    @cached_property
    def whitener(self) -> F32:
        """From channels to components in units of their thresholds, (component, channel)."""
        out = self.components / self.thresholds[:, None] / self.scale
        return np.ascontiguousarray(out, dtype=np.float32)


def shaping_filter(sfreq: float) -> F64:
    """Return the filter under which data are judged, axes (section, 6).

    As in the paper the brain's 3-13 Hz count a third, drifts below 2 Hz and muscle above 60 Hz
    three times. Made of a low shelf, a peak and a high shelf (Bristow-Johnson's formulas);
    shelves that do not fit below the Nyquist rate are left out.
    """
    parts = [("low", 1.5, 3.0, 0.7), ("peak", 6.2, 1 / 3, 0.6), ("high", 60.0, 3.0, 0.7)]
    return np.array([_shelf(sfreq, *p) for p in parts if p[1] < 0.4 * sfreq]).reshape(-1, 6)


def _shelf(sfreq: float, kind: str, freq: float, gain: float, q: float) -> F64:
    w = 2 * np.pi * freq / sfreq
    a, cos, alpha = np.sqrt(gain), np.cos(w), np.sin(w) / (2 * q)
    if kind == "peak":
        b0, b1, b2 = 1 + alpha * a, -2 * cos, 1 - alpha * a
        a0, a1, a2 = 1 + alpha / a, -2 * cos, 1 - alpha / a
    else:
        s = -1 if kind == "low" else 1
        root = 2 * np.sqrt(a) * alpha
        b0 = a * ((a + 1) + s * (a - 1) * cos + root)
        b1 = -2 * s * a * ((a - 1) + s * (a + 1) * cos)
        b2 = a * ((a + 1) + s * (a - 1) * cos - root)
        a0 = (a + 1) - s * (a - 1) * cos + root
        a1 = 2 * s * ((a - 1) - s * (a + 1) * cos)
        a2 = (a + 1) - s * (a - 1) * cos - root
    return np.array([b0, b1, b2, a0, a1, a2]) / a0


def geometric_median(vectors: F64, *, tolerance: float = 1e-6, most: int = 500) -> F64:
    """Return the weights whose mean of the vectors is their geometric median.

    Parameters
    ----------
    vectors : float64 array, axes (vector, element)
    tolerance : float
        Largest change of a weight at the end, relative to the mean weight.
    most : int
        Iterations.

    Returns
    -------
    weights : float64 array, axes (vector,)
        They sum to 1.

    Notes
    -----
    Weiszfeld (1937, Tohoku Math J 43:355-386). Every iterate is a mean of the vectors, so all
    distances follow from the inner products: the long vectors are multiplied once.
    """
    n = len(vectors)
    if vectors.ndim != 2 or not n:
        raise KernelInputError(
            where="vectors", expected="at least one vector", got=f"shape {vectors.shape}"
        )
    inner = vectors @ vectors.T
    own = np.diagonal(inner)
    weights = np.full(n, 1.0 / n)
    tiny = 1e-12 * max(float(own.max()), np.finfo(float).tiny)
    for _ in range(most):
        cross = inner @ weights
        square = own - 2 * cross + weights @ cross
        fresh = 1 / np.sqrt(np.maximum(square, tiny))
        fresh /= fresh.sum()
        moved = float(np.abs(fresh - weights).max())
        weights = fresh
        if moved < tolerance / n:
            break
    return weights


def clean_distribution(values: F64) -> tuple[float, float]:
    """Return mean and deviation of the clean part of some positive values.

    Parameters
    ----------
    values : float64 array, axes (window,)
        Of which some, the larger ones mostly, may be of artifacts.

    Returns
    -------
    mean, deviation : float

    Notes
    -----
    A truncated generalised Gaussian is fitted to every stretch of the sorted values that may
    hold the 2nd to the 60th percentile of the clean ones, and judged by its Kullback-Leibler
    divergence (Mullen et al. 2015, appendix). The best hundredth of the fits is averaged: the
    single best one scatters twice as much.
    """
    x = np.sort(np.asarray(values, np.float64))
    n = len(x)
    span = _QUANTILES[1] - _QUANTILES[0]
    shares = np.arange(_QUANTILES[0], _QUANTILES[0] + _DROPOUTS + 1e-9, _STEP)
    starts = np.unique(np.round(n * shares).astype(int))
    tried, found = [], (float(x.mean()), float(x.std()))
    for width in np.arange(span, _LEAST_CLEAN * span - 1e-9, -_STEP):
        m = round(n * width)
        fits = starts[starts + m <= n]
        if m < 8 or not len(fits):
            continue
        low, high = x[fits], x[fits + m - 1]
        usable = high > low
        fits, low, high = fits[usable], low[usable], high[usable]
        if not len(fits):
            continue
        n_bins = round(3 * np.log2(1 + m / 2))
        place = (x[fits[:, None] + np.arange(m)] - low[:, None]) / (high - low)[:, None]
        index = np.minimum((place * n_bins).astype(int), n_bins - 1)
        index += n_bins * np.arange(len(fits))[:, None]
        counts = np.bincount(index.ravel(), minlength=n_bins * len(fits)).reshape(-1, n_bins)
        share = (counts + 0.01) / (m + 0.01 * n_bins)
        expected, ends, spread = _truncated(n_bins)
        divergence = np.sum(expected * np.log(expected), axis=1) - np.log(share) @ expected.T
        alpha = (high - low)[:, None] / (ends[:, 1] - ends[:, 0])
        tried.append((divergence, low[:, None] - ends[:, 0] * alpha, alpha * spread))
    if tried:
        scores, means, deviations = (np.concatenate(v, axis=None) for v in zip(*tried))
        best = np.argsort(scores)[: max(len(scores) // _BEST, 1)]
        found = float(means[best].mean()), float(deviations[best].mean())
    return found


@lru_cache(maxsize=64)
def _truncated(n_bins: int) -> tuple[F64, F64, F64]:
    """Return shares of the bins, ends and deviations of truncated densities, by shape."""
    sides = np.array([np.sign(q - 0.5) for q in _QUANTILES])
    parts = np.abs(2 * np.array(_QUANTILES) - 1)
    ends = np.array([sides * gammaincinv(1 / b, parts) ** (1 / b) for b in _SHAPES])
    middle = (np.arange(n_bins) + 0.5) / n_bins
    z = ends[:, :1] + middle * (ends[:, 1:] - ends[:, :1])
    density = np.exp(-(np.abs(z) ** _SHAPES[:, None]))
    spread = np.sqrt(gamma(3 / _SHAPES) / gamma(1 / _SHAPES))
    return density / density.sum(axis=1, keepdims=True), ends, spread


@kernel(device=None, why_not="runs once a session, on a minute of data")
def asr_calibrate(
    x: npt.NDArray[np.floating],
    sfreq: float,
    *,
    cutoff: float = 5.0,
    window_s: float = 0.5,
    most: float = 0.66,
    shaping: F64 | None = None,
) -> AsrModel:
    """Learn from mostly clean data what is clean.

    Parameters
    ----------
    x : float array, axes (channel, sample)
        Finite and high-passed; half a minute or more, at most a third of it artifacts.
    sfreq : float
        In Hz.
    cutoff : float
        Deviations above the mean RMS of clean windows at which a direction is cut.
    window_s : float
        Length of the windows in seconds.
    most : float
        Share of the directions that may be cut at a time.
    shaping : float64 array, axes (section, 6) | None
        None for `shaping_filter`; of no section for no filter.

    Returns
    -------
    AsrModel

    Raises
    ------
    KernelInputError
        Where there are fewer than twenty windows, no variance, or samples are not finite.
    """
    n_window = round(window_s * sfreq)
    if x.ndim != 2 or not len(x) or n_window < 2 or x.shape[1] < 20 * n_window:
        raise KernelInputError(
            where="x",
            expected=f"channels x at least {20 * n_window} samples (20 windows)",
            got=f"shape {x.shape}",
        )
    if not np.isfinite(x).all() or not x.any():
        raise KernelInputError(
            where="x", expected="finite samples with variance", got="others", fix="mask them first"
        )
    if not cutoff > 0 or not 0 < most <= 1:
        raise KernelInputError(
            where="cutoff, most", expected="above 0, and a share", got=f"{cutoff:g}, {most:g}"
        )
    sos = shaping_filter(sfreq) if shaping is None else shaping
    y = np.array(x.T, np.float64, order="C")
    sosfilt(y, sos, steady_state(sos, y[0]), out=y)
    size = max(round(_BLOCK_S * sfreq), 2)
    scale = _typical(y, size)
    y /= scale
    values, vectors = eigh(_median_covariance(y, size))
    kept = values > _FLOOR * values[-1]
    variance, components = values[kept][::-1], vectors[:, kept].T[::-1]
    z = components @ y.T
    del y  # a minute of hundreds of channels: one copy at a time
    thresholds = _thresholds(z, n_window, cutoff)
    level = _level(z, thresholds, n_window, cutoff)
    count = max(round(most * len(variance)), 1)
    return AsrModel(components, scale, variance, thresholds, level, n_window, count, sos)


def _typical(y: F64, size: int) -> F64:
    """Return every channel's median RMS in blocks, 1 for channels without any."""
    n = len(y) // size * size
    power = np.mean(np.square(y[:n].reshape(-1, size, y.shape[1])), axis=1)
    scale = np.sqrt(np.median(power, axis=0))
    return np.where(scale > 0, scale, 1.0)


def _median_covariance(y: F64, size: int) -> F64:
    """Return the geometric median of the blocks' covariances; ``y`` is (sample, channel)."""
    n_blocks, n = len(y) // size, y.shape[1]
    upper = np.triu_indices(n)
    # off-diagonal elements count twice in the distance of two matrices
    twice = np.where(upper[0] == upper[1], 1.0, np.sqrt(2.0))
    packed = np.empty((n_blocks, len(twice)))
    for i in range(n_blocks):
        block = y[i * size : (i + 1) * size]
        packed[i] = (block.T @ block / size)[upper] * twice
    median = np.zeros((n, n))
    median[upper] = geometric_median(packed) @ packed / twice
    return median + np.triu(median, 1).T


def _thresholds(z: F64, n_window: int, cutoff: float) -> F64:
    """Return every component's threshold from its RMS in overlapping windows."""
    starts = np.arange(0, z.shape[1] - n_window + 1, max(n_window // 3, 1))
    total, out = np.zeros(z.shape[1] + 1), np.empty(len(z))
    for i, row in enumerate(z):
        np.cumsum(row**2, out=total[1:])
        power = (total[starts + n_window] - total[starts]) / n_window
        mean, deviation = clean_distribution(np.sqrt(np.maximum(power, 0.0)))
        out[i] = mean + cutoff * deviation
    return out


def _level(z: F64, thresholds: F64, n_window: int, cutoff: float) -> float:
    """Return the threshold for the largest mean square of any direction.

    The thresholds hold for directions that are chosen before a window is seen. Of many
    channels some direction exceeds them in every window by chance (the edge of Marchenko and
    Pastur): how far, the clean windows tell.
    """
    largest = []
    for start in range(0, z.shape[1] - n_window + 1, max(n_window // 2, 1)):
        part = (z[:, start : start + n_window] / thresholds[:, None]).astype(np.float32)
        gram = part @ part.T if len(z) <= n_window else part.T @ part
        top = len(gram) - 1
        value = eigh(gram, eigvals_only=True, subset_by_index=(top, top))[0]
        largest.append(np.sqrt(max(float(value), 0.0) / n_window))
    middle = float(np.median(largest))
    # the normal deviation that has this median distance
    deviation = 1.4826 * float(np.median(np.abs(np.array(largest) - middle)))
    return max(1.0, (middle + cutoff * deviation) ** 2)
