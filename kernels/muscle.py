"""Muscle activity at 110-140 Hz from raw counts, before anything is decimated.

Only the power is wanted. Folding a band keeps its power, so the band-pass keeps one output in
ten: the cost is that of a decimation.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.errors import KernelInputError
from brainforge.kernels.decimate import decimate, polyphase
from brainforge.kernels.fir_design import design_fir

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
#: band of muscle activity in Hz
BAND = (110.0, 140.0)
_TRANSITION = 10.0
_NARROWEST = 5.0  # Hz that must be left between the band and the Nyquist rate
_RATE = 100.0  # 110-140 Hz lies between two multiples of half of it: the band folds onto itself
_PER_WINDOW = 10


@dataclass(frozen=True)
class MusclePlan:
    """Band-pass, decimation and windows for a sampling rate of ``sfreq`` Hz."""

    sfreq: float

    @property
    def decim(self) -> int:
        """Source samples per filtered sample."""
        return max(round(self.sfreq / _RATE), 1)

    @property
    def window(self) -> int:
        """Source samples per window, about 0.1 s; windows lie on the absolute grid."""
        return self.decim * _PER_WINDOW

    @cached_property
    def taps(self) -> F64:
        """The band-pass."""
        h_trans = min(_TRANSITION, self.sfreq / 2 - BAND[1])
        return design_fir(self.sfreq, *BAND, l_trans=_TRANSITION, h_trans=h_trans)

    @cached_property
    def phases(self) -> F32:
        """The band-pass as the decimator takes it."""
        return polyphase(self.taps, self.decim)

    @property
    def half(self) -> int:
        """Samples before a window that it depends on."""
        return len(self.taps) // 2

    @property
    def reach(self) -> int:
        """Samples from the first to one past the last that a window depends on."""
        return (_PER_WINDOW - 1) * self.decim + 2 * self.half + 1


def muscle_plan(sfreq: float) -> MusclePlan | None:
    """Return the plan for a sampling rate, None where the band does not fit below Nyquist."""
    return MusclePlan(sfreq) if sfreq / 2 >= BAND[1] + _NARROWEST else None


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
    n_out = n_windows * _PER_WINDOW
    if first < 0 or first + max(n_windows - 1, 0) * plan.window + plan.reach > raw.shape[1]:
        raise KernelInputError(
            where="n_windows",
            expected=f"windows inside the {raw.shape[1]} samples",
            got=f"{n_windows} from column {first}",
        )
    picked = np.arange(len(raw)) if rows is None else np.asarray(rows)
    y = decimate(
        raw,
        plan.phases,
        n_out,
        first=first,
        rows=picked,
        offset=offset,
        scale=scale,
        n_threads=n_threads,
    )
    y = y.reshape(len(picked), n_windows, _PER_WINDOW)
    return np.sqrt(np.einsum("cwi,cwi->cw", y, y) / np.float32(_PER_WINDOW))


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
    a = np.where(np.isfinite(amplitude), amplitude, np.nan).astype(np.float64)
    seen = np.isfinite(a)
    n = np.maximum(seen.sum(axis=1, keepdims=True), 1)
    centred = np.where(seen, a - np.where(seen, a, 0).sum(axis=1, keepdims=True) / n, 0.0)
    spread = np.sqrt((centred**2).sum(axis=1, keepdims=True) / n)
    usable = seen & (spread > 0)
    z = np.divide(centred, spread, out=np.zeros_like(centred), where=spread > 0)
    count = usable.sum(axis=0)
    score = z.sum(axis=0) / np.sqrt(np.maximum(count, 1))
    total, weight = _sum_of_three(score), _sum_of_three((count > 0).astype(np.float64))
    return np.where(count > 0, total / np.maximum(weight, 1), np.nan)


def _sum_of_three(x: F64) -> F64:
    padded = np.pad(x, 1)
    total: F64 = padded[:-2] + padded[1:-1] + padded[2:]
    return total
