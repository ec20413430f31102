"""Overlap-save FIR filtering by batched float32 FFTs on tiles of channels that fit the cache."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.fft

from brainforge.errors import KernelInputError
from brainforge.kernels.dispatch import kernel
from brainforge.kernels.namespace import dtype_name
from brainforge.kernels.parallel import parallel_map, slices

F32 = npt.NDArray[np.float32]
#: samples whose mean is an end of the straight line taken off
LINE_ENDS = 32
_TILE_BYTES = 1 << 18  # of time samples a batch; with spectra about half a second-level cache


def good_length(n: int) -> int:
    """Return an FFT length of at least ``n``: small factors, and no power of two.

    Rows a power of two apart share cache sets, which costs up to twice the time.
    """
    length = int(scipy.fft.next_fast_len(max(n, 1), real=True))
    if length >= 64 and length & (length - 1) == 0:
        length = int(scipy.fft.next_fast_len(length + 1, real=True))
    return length


@dataclass(frozen=True)
class FirPlan:
    """A symmetric FIR filter prepared for blocks of at most ``block`` outputs.

    Parameters
    ----------
    taps : float64 array, axes (tap,)
        Symmetric, of odd length.
    block : int
        Outputs computed by one transform.
    """

    taps: npt.NDArray[np.float64]
    block: int

    def __post_init__(self) -> None:
        taps = np.asarray(self.taps, dtype=np.float64)
        if taps.ndim != 1 or len(taps) % 2 == 0 or not np.allclose(taps, taps[::-1], 1e-9, 1e-15):
            raise KernelInputError(
                where="taps", expected="symmetric taps of odd length", got=f"shape {taps.shape}"
            )
        if self.block < 1:
            raise KernelInputError(
                where="block", expected="at least one output", got=f"{self.block}"
            )
        object.__setattr__(self, "taps", taps)

    @property
    def half(self) -> int:
        """Samples needed before the first and after the last output."""
        return len(self.taps) // 2

    @cached_property
    def gain(self) -> np.float32:
        """Gain for a constant, and for a straight line."""
        return np.float32(self.taps.sum())

    @cached_property
    def n_fft(self) -> int:
        """Length of the transforms."""
        return good_length(self.block + 2 * self.half)

    @cached_property
    def response(self) -> F32:
        """Real response at the transform's frequencies; symmetric taps give zero phase."""
        padded = np.zeros(self.n_fft)
        padded[: len(self.taps)] = self.taps
        return scipy.fft.rfft(np.roll(padded, -self.half)).real.astype(np.float32)


def _filter_tile(x: F32, plan: FirPlan, out: F32) -> None:
    # A drift far above the signal would cost float32 its last digits in the transform. Symmetric
    # taps pass a straight line with their sum as the gain, so it goes round the transform.
    ends = min(LINE_ENDS, x.shape[1])
    low = x[:, :ends].mean(axis=1, dtype=np.float64)[:, None]
    high = x[:, -ends:].mean(axis=1, dtype=np.float64)[:, None]
    course = np.linspace(0.0, 1.0, x.shape[1], dtype=np.float32)
    line = low.astype(np.float32) + (high - low).astype(np.float32) * course
    spectrum = scipy.fft.rfft(x - line, plan.n_fft, axis=1)
    spectrum *= plan.response
    y = scipy.fft.irfft(spectrum, plan.n_fft, axis=1, overwrite_x=True)
    inner = slice(plan.half, plan.half + out.shape[1])
    out[:] = y[:, inner]
    out += plan.gain * line[:, inner]


def check_rows(x: Any, plan: FirPlan) -> int:
    """Return the number of outputs; KernelInputError where x is no float32 matrix long enough."""
    if x.ndim != 2 or dtype_name(x) != "float32" or x.shape[1] < 2 * plan.half:
        raise KernelInputError(
            where="x",
            expected=f"float32 channels x at least {2 * plan.half} samples",
            got=f"shape {x.shape}, {x.dtype}",
        )
    return int(x.shape[1]) - 2 * plan.half


@kernel(device="brainforge.kernels.device.overlap_save:overlap_save", tolerance=2e-6)
def overlap_save(x: F32, plan: FirPlan, *, out: F32 | None = None, n_threads: int = 1) -> F32:
    """Filter rows and return the outputs that depend on given samples only.

    Parameters
    ----------
    x : float32 array, axes (channel, sample)
        Finite. Rows need not be contiguous with one another.
    plan : FirPlan
    out : float32 array, axes (channel, sample - 2 * plan.half) | None
    n_threads : int
        Threads over tiles of channels and blocks of time.

    Returns
    -------
    out : float32 array, axes (channel, sample - 2 * plan.half)
        Output n is centred on sample n + plan.half. Relative to float64 about 3e-7 of the
        channel's size. Blocks begin at multiples of ``plan.block`` of the output.

    Raises
    ------
    KernelInputError
        Where x is not a float32 matrix with more than ``2 * plan.half`` samples.
    """
    n_channels, n_out = x.shape[0], check_rows(x, plan)
    if out is None:
        out = np.empty((n_channels, n_out), np.float32)
    if out.shape != (n_channels, n_out) or out.dtype != np.float32:
        raise KernelInputError(
            where="out", expected=f"float32 of shape {(n_channels, n_out)}", got=f"{out.shape}"
        )
    if not n_channels or not n_out:
        return out
    rows = max(_TILE_BYTES // (4 * plan.n_fft), 1)
    pieces = [
        (part, begin)
        for part in slices(n_channels, -(-n_channels // rows))
        for begin in range(0, n_out, plan.block)
    ]

    def work(piece: tuple[slice, int]) -> None:
        part, begin = piece
        end = min(begin + plan.block, n_out)
        _filter_tile(x[part, begin : end + 2 * plan.half], plan, out[part, begin:end])

    parallel_map(work, pieces, n_threads)
    return out
