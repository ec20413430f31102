"""Overlap-save FIR filtering by float32 transforms of as many channels as a vector has lanes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.fft

from brainforge.errors import KernelInputError
from brainforge.kernels.decimate import flat_rows
from brainforge.kernels.dispatch import kernel
from brainforge.kernels.namespace import dtype_name
from brainforge.kernels.parallel import parallel_map, slices
from brainforge.kernels.scratch import scratch

F32 = npt.NDArray[np.float32]
#: samples whose mean is an end of the straight line taken off
LINE_ENDS = 32


def good_length(n: int) -> int:
    """Return an even FFT length of at least ``n``: small factors, and no power of two.

    Samples a power of two apart share cache sets.
    """
    length = max(n, 2)
    while True:
        length = int(scipy.fft.next_fast_len(length, real=True))
        if length % 2 == 0 and (length < 64 or length & (length - 1)):
            return length
        length += 1


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
        return self._response.astype(np.float32)

    @cached_property
    def _response(self) -> npt.NDArray[np.float64]:
        padded = np.zeros(self.n_fft)
        padded[: len(self.taps)] = self.taps
        return np.asarray(scipy.fft.rfft(np.roll(padded, -self.half)).real)

    @cached_property
    def lanes(self) -> tuple[Any, ...]:
        """Passes, pairs of frequencies and gains, as `brainforge.kernels.lane_rows` takes them."""
        from brainforge.kernels.lane_fft import Passes, paired_gains

        passes = Passes(self.n_fft // 2)
        pairs, gains = paired_gains(self._response, passes)
        return passes.schedule, passes.twiddles, pairs, gains


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
    flat, stride = flat_rows(x)
    target = out if out.strides[1] == out.itemsize else np.empty(out.shape, np.float32)
    room, step = flat_rows(target, writeable=True)

    def work(piece: tuple[slice, int]) -> None:
        rows, begin = piece
        size = min(plan.block, n_out - begin)
        places = rows.start * stride + begin, stride, room, rows.start * step + begin, step
        _filter(flat, *places, rows.stop - rows.start, size, plan)

    pieces = [
        (rows, begin)
        for rows in slices(n_channels, 2 * n_threads if n_threads > 1 else 1, 16)
        for begin in range(0, n_out, plan.block)
    ]
    parallel_map(work, pieces, n_threads)
    if target is not out:
        out[:] = target
    return out


def _filter(
    x: F32, x_at: int, x_step: int, out: F32, at: int, step: int, n_rows: int, n_out: int,
    plan: FirPlan,
) -> None:  # fmt: skip
    from brainforge.kernels.lane_rows import filter_rows
    from brainforge.kernels.vectors import WIDTH

    n = n_out + 2 * plan.half
    z = scratch("overlap_save", (plan.n_fft * WIDTH,), np.float32)
    ends = min(LINE_ENDS, n)
    source, target = (x, x_at, x_step, n_rows, n), (out, at, step, n_out)
    filter_rows(*source, *target, plan.half, plan.gain, ends, z, *plan.lanes)
