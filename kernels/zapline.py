"""ZapLine: mains removed by a spatial filter, so that the spectrum keeps no hole.

de Cheveigné (2020, NeuroImage 207:116356). The data are split into a part smoothed over one
mains period, which holds no mains, and the residual. In the residual the directions in which
the mains' share of the power is largest are found (denoising source separation) and projected
out; the smoothed part stays as it is. Both powers are taken under a Hann weight: without it the
mains leaks out of its bins, and the directions are spent on keeping the leakage small rather
than the brain large. The long data are gone through a few times only: one Gram
matrix, one product with the harmonics' waves, one low-rank update. Everything else happens on
matrices of the size of the number of channels.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg import cholesky, eigh, solve_triangular

from brainforge.errors import KernelInputError
from brainforge.kernels.dispatch import kernel
from brainforge.kernels.jit import lazy_jit

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
#: added to the residual's covariance, relative to unit variance: rounding of float32 data
_RIDGE = 1e-6
#: a component is taken for mains above this many times what chance gives, if that is below 0.95
_ABOVE_CHANCE, _SURE = 2.0, 0.95
#: share of the samples that a Hann weight leaves for a mean square: (3/8)^2 / (35/128)
_HANN_SAMPLES = 0.514


@dataclass(frozen=True)
class LineFit:
    """What was found and removed.

    Parameters
    ----------
    scores : float64 array, axes (component,)
        Share of each component's power that lies at the mains and its harmonics, falling.
    chance : float
        The largest share that would be found in noise.
    unmixing : float64 array, axes (removed component, channel)
        From the residual to the removed components, of unit variance.
    mixing : float64 array, axes (channel, removed component)
        What was subtracted is ``mixing @ unmixing @ residual``.
    """

    scores: F64
    chance: float
    unmixing: F64
    mixing: F64

    @property
    def n_removed(self) -> int:
        """Number of components removed."""
        return len(self.unmixing)


@lazy_jit(
    [
        f"void(Array({x}, 2, 'C', readonly=True), int64, float64,"
        " Array(float64, 1, 'C', readonly=True), Array(float32, 1, 'C', readonly=True),"
        " float32[:,::1])"
        for x in ("float32", "float64")
    ]
)
def _residual(x: Any, half: int, rest: float, inverse: Any, taper: Any, out: Any) -> None:
    n = x.shape[1]
    for r in range(x.shape[0]):
        row, target = x[r], out[r]
        total = np.float64(0)
        for t in range(min(half, n)):
            total += row[t]
        first, last = min(half + 1, n), max(n - half - 1, min(half + 1, n))
        for part in range(3):
            begin = (0, first, last)[part]
            end = (first, last, n)[part]
            if part == 1:
                ahead, behind = row[half:n], row[: n - half]
                for t in range(begin, end):
                    total += np.float64(ahead[t]) - np.float64(behind[t - half - 1])
                    outer = np.float64(behind[t - half - 1]) + np.float64(ahead[t + 1])
                    mean = (total + rest * outer) * inverse[t]
                    target[t] = np.float32(row[t] - mean) * taper[t]
                continue
            for t in range(begin, end):
                value = np.float64(0)
                if t + half < n:
                    total += row[t + half]
                if t - half - 1 >= 0:
                    total -= row[t - half - 1]
                    value += rest * row[t - half - 1]
                if t + half + 1 < n:
                    value += rest * row[t + half + 1]
                target[t] = np.float32(row[t] - (total + value) * inverse[t]) * taper[t]


@kernel(
    device="brainforge.kernels.device.zapline:line_residual",
    tolerance=2e-6,
    takes={"x": "float32|float64 (channel, sample)"},
)
def line_residual(x: npt.NDArray[Any], period: float) -> F32:
    """Return x less its mean over one period around every sample.

    Parameters
    ----------
    x : float32 or float64 array, axes (channel, sample)
        Finite.
    period : float
        Samples of a mains period, at least 2; its fraction weighs the outermost samples. At
        the ends the mean is over what there is.

    Returns
    -------
    float32 array, axes (channel, sample)
    """
    data = np.ascontiguousarray(x)
    return _weighted_residual(data, period, np.ones(data.shape[1], np.float32))


def _weighted_residual(data: npt.NDArray[Any], period: float, taper: F32) -> F32:
    half, rest = period_parts(period)
    inverse = 1 / period_weight(data.shape[1], period)
    out = np.empty(data.shape, np.float32)
    _residual(data, half, rest, inverse, taper, out)
    return out


def period_parts(period: float) -> tuple[int, float]:
    """Return whole samples on either side of the middle one, and the weight of the next ones."""
    if not (np.isfinite(period) and period >= 2):
        raise KernelInputError(where="period", expected="at least 2 samples", got=f"{period}")
    half = int((period - 1) // 2)
    return half, (period - 2 * half - 1) / 2


def period_weight(n: int, period: float) -> F64:
    """Return the sum of the weights around each of ``n`` samples, less at the ends."""
    half, rest = period_parts(period)
    at = np.arange(n)
    whole = np.minimum(at + half, n - 1) - np.maximum(at - half, 0) + 1.0
    return whole + rest * ((at > half).astype(float) + (at + half + 1 < n))


def effective_samples(n: int) -> int:
    """Return how many samples without a weight say as much as ``n`` under a Hann weight."""
    return int(_HANN_SAMPLES * n)


@lru_cache(maxsize=4)
def line_waves(n: int, sfreq: float, line_freq: float, half_width: float) -> F32:
    """Return orthonormal waves around the mains and its harmonics, axes (2 * bin, sample).

    Cosines and sines at all bins of an ``n``-sample transform within ``half_width`` Hz of a
    multiple of ``line_freq`` below the Nyquist rate; at least the nearest bin of each.
    """
    freqs = np.arange(1, (n - 1) // 2 + 1) * sfreq / max(n, 1)
    harmonics = line_freq * np.arange(1, int(np.ceil(sfreq / 2 / line_freq)))
    distance = np.abs(freqs[:, None] - harmonics)
    chosen = np.any(distance <= half_width, axis=1, keepdims=True)[:, 0]
    if len(freqs) and len(harmonics):
        chosen[distance.argmin(axis=0)] = True
    bins = 1 + np.flatnonzero(chosen)
    angle = 2 * np.pi / max(n, 1) * (np.outer(bins, np.arange(n)) % n)
    waves = np.concatenate([np.cos(angle), np.sin(angle)]) * np.sqrt(2 / max(n, 1))
    out: F32 = waves.astype(np.float32)
    out.flags.writeable = False
    return out


def hann(n: int) -> F32:
    """Return a Hann window of unit mean square, without zeros at its ends."""
    window = np.sin(np.pi * (np.arange(n) + 0.5) / max(n, 1)) ** 2
    return (window * np.sqrt(8 / 3)).astype(np.float32)


def chance_score(n_samples: int, n_channels: int, n_waves: int) -> float:
    """Return the largest share of power at the waves that some direction of white noise has.

    The edge of the spectrum of two random subspaces' squared cosines (Wachter 1980, Ann Stat
    8:937-957); 1 where there are too few samples to tell.
    """
    p, q = n_channels / max(n_samples, 1), n_waves / max(n_samples, 1)
    if p + q >= 1:
        return 1.0
    return float((np.sqrt(p * (1 - q)) + np.sqrt(q * (1 - p))) ** 2)


def fit_line(
    covariance: F64, lines: F64, n_samples: int, *, n_remove: int | None = None
) -> LineFit:
    """Find the directions that the mains dominates.

    Parameters
    ----------
    covariance : float64 array, axes (channel, channel)
        Mean product of the weighted residual.
    lines : float64 array, axes (channel, 2 * bin)
        The weighted residual times the waves, over the root of the number of samples.
    n_samples : int
        Samples that say as much without a weight.
    n_remove : int | None
        Components to remove; None for those whose score is more than twice what chance gives.

    Returns
    -------
    LineFit
    """
    scale = np.sqrt(np.diagonal(covariance))
    scale = np.where(scale > 0, scale, 1.0)
    cov = covariance / np.outer(scale, scale)
    cov[np.diag_indices_from(cov)] += _RIDGE
    lower = cholesky(cov, lower=True)
    white = solve_triangular(lower, lines / scale[:, None], lower=True)
    tall = white.shape[0] > white.shape[1]
    values, vectors = eigh(white.T @ white if tall else white @ white.T)
    scores = np.clip(values[::-1], 0.0, 1.0)
    chance = chance_score(n_samples, len(cov), lines.shape[1])
    keep = int(np.count_nonzero(scores > min(_ABOVE_CHANCE * chance, _SURE)))
    keep = keep if n_remove is None else min(n_remove, int(np.count_nonzero(scores > 0)))
    top = vectors[:, ::-1][:, :keep]
    if tall:
        top = white @ top / np.sqrt(scores[:keep])
    filters = solve_triangular(lower, top, trans="T", lower=True) / scale[:, None]
    mixing = covariance @ filters
    power = np.einsum("ck,ck->k", filters, mixing)
    return LineFit(scores, chance, filters.T, mixing / np.where(power > 0, power, 1.0))


@kernel(
    device="brainforge.kernels.device.zapline:zapline",
    tolerance=1e-4,
    takes={"x": "float32|float64 (channel, sample)"},
)
def zapline(
    x: npt.NDArray[Any],
    sfreq: float,
    line_freq: float,
    *,
    n_remove: int | None = None,
    half_width: float = 0.5,
) -> tuple[F32, LineFit]:
    """Remove the mains and its harmonics from one window.

    Parameters
    ----------
    x : float32 or float64 array, axes (channel, sample)
        Finite; a window of some seconds, over which the mains' field keeps its shape.
    sfreq : float
        Sampling rate in Hz.
    line_freq : float
        Mains frequency in Hz, below half the Nyquist rate or so.
    n_remove : int | None
        Components to remove; None for those whose score is more than twice what chance gives
        (`chance_score`).
    half_width : float
        How far from a harmonic a bin still counts as mains, in Hz.

    Returns
    -------
    clean : float32 array, axes (channel, sample)
    fit : LineFit

    Raises
    ------
    KernelInputError
        Where the samples are not finite, or no mains period fits.
    """
    data = np.ascontiguousarray(x)
    check_line(sfreq, line_freq, n_remove)
    n_channels, n = data.shape
    period = sfreq / line_freq
    waves = line_waves(n, sfreq, line_freq, half_width)
    if not n_channels or not len(waves):
        none = np.zeros((0, n_channels))
        return data.astype(np.float32), LineFit(np.zeros(0), 1.0, none, none.T)
    weighted = _weighted_residual(data, period, hann(n))
    covariance = (weighted @ weighted.T).astype(np.float64) / n
    lines = (weighted @ waves.T).astype(np.float64) / np.sqrt(n)
    check_finite(covariance)
    fit = fit_line(covariance, lines, effective_samples(n), n_remove=n_remove)
    if not fit.n_removed:
        return data.astype(np.float32), fit
    # the mean over a period is taken of the few components, not of all channels once more
    sources = line_residual(fit.unmixing.astype(data.dtype) @ data, period)
    clean = np.matmul(fit.mixing.astype(np.float32), sources)
    return np.subtract(data, clean, out=clean, casting="same_kind"), fit


def check_finite(covariance: F64) -> None:
    """Raise KernelInputError where a channel's product with itself says that it is not finite."""
    if not np.isfinite(np.diagonal(covariance)).all():
        raise KernelInputError(
            where="x",
            expected="finite samples of moderate size",
            got="NaN, infinity or an overflow",
            fix="bridge them first",
        )


def check_line(sfreq: float, line_freq: float, n_remove: int | None) -> None:
    """Raise KernelInputError where the mains frequency or the number to remove cannot be."""
    if not 0 < line_freq <= sfreq / 2:
        raise KernelInputError(
            where="line_freq", expected=f"above 0, up to {sfreq / 2:g} Hz", got=f"{line_freq:g}"
        )
    if n_remove is not None and n_remove < 0:
        raise KernelInputError(where="n_remove", expected="0 or more", got=f"{n_remove}")
