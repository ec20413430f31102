"""Muscle activity at 110-140 Hz from raw counts, before anything is decimated.

Only the power is wanted. Folding a band keeps its power, so the band-pass keeps one output in
ten: the cost is that of a decimation. A short low-pass goes before it, so that the sharp filter
runs at a lower rate; and where that rate is four times the band's centre every other tap of the
sharp filter is zero, so that each output needs only every other sample.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import ceil
from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.errors import KernelInputError
from brainforge.kernels.decimate import (
    DTYPES,
    checked_rows,
    flat_rows,
    per_row,
    sparse_taps,
)
from brainforge.kernels.dispatch import kernel
from brainforge.kernels.fir_design import design_fir
from brainforge.kernels.parallel import parallel_map, slices
from brainforge.kernels.scratch import scratch

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
#: band of muscle activity in Hz
BAND = (110.0, 140.0)
_TRANSITION = 10.0
_NARROWEST = 5.0  # Hz that must be left between the band and the Nyquist rate
_RATE = 100.0  # 110-140 Hz lies between two multiples of half of it: the band folds onto itself
#: filtered samples of a window
PER_WINDOW = 10
_ATTENUATION = 50.0  # dB of the low-pass; the band-pass has as much
_SCORED = 32  # channels at a time, so that a long recording's scores take little memory
_TILE = 4000  # samples of all lanes at a time: half a second-level cache at most


@dataclass(frozen=True)
class MusclePlan:
    """Band-pass, decimation and windows for a sampling rate of ``sfreq`` Hz.

    Parameters
    ----------
    sfreq : float
    factor : int
        Source samples per sample between low-pass and band-pass; divides ``decim``.
    """

    sfreq: float
    factor: int = 1

    @property
    def decim(self) -> int:
        """Source samples per filtered sample."""
        return max(round(self.sfreq / _RATE), 1)

    @property
    def window(self) -> int:
        """Source samples per window, about 0.1 s; windows lie on the absolute grid."""
        return self.decim * PER_WINDOW

    @cached_property
    def low_pass(self) -> F64:
        """Keep what would fold onto the band away; a single tap where nothing is decimated."""
        rate, top = self.sfreq / self.factor, BAND[1] + _TRANSITION / 2
        if self.factor == 1:
            return np.ones(1)
        half = ceil((_ATTENUATION - 7.95) / (14.36 * (rate - 2 * top)) * self.sfreq / 2)
        m = np.arange(-half, half + 1)
        beta = 0.5842 * (_ATTENUATION - 21) ** 0.4 + 0.07886 * (_ATTENUATION - 21)
        taps: F64 = np.sinc(m / self.factor) * np.kaiser(len(m), beta)
        taps[np.abs(taps) < 1e-12] = 0.0  # of a half-band filter every other one
        return taps / taps.sum()

    @cached_property
    def band_pass(self) -> F64:
        """The sharp filter, at ``sfreq / factor``."""
        rate = self.sfreq / self.factor
        h_trans = min(_TRANSITION, rate / 2 - BAND[1])
        taps = design_fir(rate, *BAND, l_trans=_TRANSITION, h_trans=h_trans)
        if self.turns == 2:  # but for the rounding of two gains these are zero
            taps[(len(taps) // 2 + 1) % 2 :: 2] = 0.0
        return taps

    @cached_property
    def taps(self) -> F64:
        """Both filters as one at ``sfreq``: the definition of what is computed."""
        up = np.zeros((len(self.band_pass) - 1) * self.factor + 1)
        up[:: self.factor] = self.band_pass
        return np.convolve(up, self.low_pass)

    @property
    def turns(self) -> int:
        """Sequences of low-passed samples that the outputs take turns to be made of."""
        return 2 if self.sfreq / self.factor == 2 * sum(BAND) else 1

    @cached_property
    def steps(self) -> tuple[Any, ...]:
        """Low-pass and band-pass as `brainforge.kernels.lane_fir` takes them.

        Each as the step from output to output, the places of its taps, and the taps.
        """
        sharp = self.band_pass[len(self.band_pass) // 2 % self.turns :: self.turns]
        low = self.factor * self.turns, *sparse_taps(self.low_pass)
        return (*low, self.decim // self.factor, *sparse_taps(sharp))

    @property
    def cost(self) -> float:
        """Multiplications per source sample."""
        return len(self.steps[2]) / self.factor + len(self.steps[5]) / self.decim

    @property
    def half(self) -> int:
        """Samples before a window that it depends on."""
        return len(self.taps) // 2

    @property
    def reach(self) -> int:
        """Samples from the first to one past the last that a window depends on."""
        return (PER_WINDOW - 1) * self.decim + 2 * self.half + 1


@lru_cache(maxsize=32)
def muscle_plan(sfreq: float) -> MusclePlan | None:
    """Return the cheapest plan for a rate, None where the band does not fit below Nyquist."""
    if sfreq / 2 < BAND[1] + _NARROWEST:
        return None
    decim = MusclePlan(sfreq).decim
    factors = [f for f in range(2, decim + 1) if decim % f == 0 and sfreq / f >= 4 * _RATE]
    return min((MusclePlan(sfreq, f) for f in (1, *factors)), key=lambda plan: plan.cost)


def check_windows(raw: Any, plan: MusclePlan, n_windows: int, first: int) -> None:
    """Raise KernelInputError where the windows reach beyond the samples."""
    if first < 0 or first + max(n_windows - 1, 0) * plan.window + plan.reach > raw.shape[1]:
        raise KernelInputError(
            where="n_windows",
            expected=f"windows inside the {raw.shape[1]} samples",
            got=f"{n_windows} from column {first}",
        )


@kernel(device="brainforge.kernels.device.muscle:window_amplitude", tolerance=2e-6, raw=True)
def window_amplitude(
    raw: npt.NDArray[Any],
    plan: MusclePlan,
    n_windows: int,
    *,
    first: int = 0,
    rows: npt.ArrayLike | None = None,
    offset: npt.ArrayLike = 0.0,
    scale: npt.ArrayLike = 1.0,
    n_threads: int = 1,
) -> F32:
    """Return the RMS in the muscle band, window by window.

    Parameters
    ----------
    raw : int16, int32, float32 or float64 array, axes (channel, sample)
        Counts at the full rate.
    plan : MusclePlan
    n_windows : int
    first : int
        Column of the earliest sample that the first window depends on: ``plan.half`` before
        the window itself.
    rows : array of int | None
    offset : float or array, axes (row,)
        Counts to take off; need only be near, as the band-pass stops what is left.
    scale : float or array, axes (row,)
        Working units per count.
    n_threads : int

    Returns
    -------
    amplitude : float32 array, axes (row, window)
        Not finite where the window's samples are not.

    Raises
    ------
    KernelInputError
        Where the windows reach beyond the samples.
    """
    check_windows(raw, plan, n_windows, first)
    picked = checked_rows(raw.shape, raw.dtype.name, 1, 0, first, rows)
    out = np.empty((len(picked), n_windows), np.float32)
    if not out.size:
        return out
    flat, stride = flat_rows(raw)
    begins = picked * stride + first
    shift = per_row(offset, len(picked), "offset", DTYPES[raw.dtype.name])
    factor = per_row(scale, len(picked), "scale", np.float32)

    def work(part: slice) -> None:
        counts = flat, begins[part], raw.shape[1] - first, shift[part], factor[part]
        _amplitude(*counts, plan, out[part])

    parallel_map(work, slices(len(out), n_threads, 16), n_threads)
    return out


def _amplitude(
    flat: npt.NDArray[Any],
    begins: npt.NDArray[np.int64],
    n_raw: int,
    offset: npt.NDArray[Any],
    scale: F32,
    plan: MusclePlan,
    out: F32,
) -> None:
    """Give `window_rms` its working memory: some windows of counts and what is made of them."""
    from brainforge.kernels.lane_fir import window_rms
    from brainforge.kernels.vectors import WIDTH

    k_low, low_places, _, k_sharp, sharp_places, _ = plan.steps
    tile = min(max(_TILE // plan.window, 1), out.shape[1])
    n_out = tile * PER_WINDOW
    n_low = (n_out // plan.turns - 1) * k_sharp + int(sharp_places[-1]) + 1
    n_counts = (plan.turns - 1) * plan.decim + (n_low - 1) * k_low + int(low_places[-1]) + 1
    z, between, y = (
        scratch(f"muscle {name}", (n * WIDTH,), np.float32)
        for name, n in (("counts", n_counts), ("between", n_low), ("outputs", n_out))
    )
    counts = flat, begins, n_raw, offset, scale, plan.decim, plan.turns
    window_rms(*counts, *plan.steps, z, between, y, PER_WINDOW, out)


def muscle_score(amplitude: npt.NDArray[np.floating]) -> F64:
    """Return the summed z-score of the muscle amplitude.

    Parameters
    ----------
    amplitude : array, axes (channel, window)
        NaN where not to be believed.

    Returns
    -------
    score : float64 array, axes (window,)
        Each channel's z-score over time, summed over channels, over the square root of their
        number, averaged over three windows (MNE's ``annotate_muscle_zscore`` smooths at
        4 Hz). NaN where no channel can be believed.
    """
    total, count = np.zeros(amplitude.shape[1]), np.zeros(amplitude.shape[1])
    for part in slices(len(amplitude), -(-len(amplitude) // _SCORED)):
        a = amplitude[part].astype(np.float64)
        seen = np.isfinite(a)
        n = np.maximum(seen.sum(axis=1, keepdims=True), 1)
        a -= np.where(seen, a, 0).sum(axis=1, keepdims=True) / n
        a[~seen] = 0.0
        spread = np.sqrt((a**2).sum(axis=1, keepdims=True) / n)
        total += np.divide(a, spread, out=np.zeros_like(a), where=spread > 0).sum(axis=0)
        count += (seen & (spread > 0)).sum(axis=0)
    score = total / np.sqrt(np.maximum(count, 1))
    smooth, weight = _sum_of_three(score), _sum_of_three((count > 0).astype(np.float64))
    return np.where(count > 0, smooth / np.maximum(weight, 1), np.nan)


def _sum_of_three(x: F64) -> F64:
    padded = np.pad(x, 1)
    total: F64 = padded[:-2] + padded[1:-1] + padded[2:]
    return total
