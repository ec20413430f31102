"""Polyphase FIR decimation of raw counts straight to float32, one pass over the samples."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.errors import KernelInputError
from brainforge.kernels.dispatch import kernel
from brainforge.kernels.parallel import parallel_map, slices
from brainforge.kernels.scratch import scratch

F32 = npt.NDArray[np.float32]
#: dtype of the counts -> dtype in which the offset is taken off, so that no digit is lost
DTYPES = {"int16": "float32", "float32": "float32", "int32": "float64", "float64": "float64"}
_WIDE = 4  # taps of a phase are padded to multiples of it


def polyphase(taps: npt.ArrayLike, k: int) -> F32:
    """Return taps split into ``k`` phases, axes (phase, tap), each padded to a multiple of 4."""
    h = np.asarray(taps, dtype=np.float64)
    if h.ndim != 1 or not len(h) or k < 1:
        raise KernelInputError(
            where="taps",
            expected="a vector of taps and a factor of at least 1",
            got=f"shape {h.shape} and {k}",
        )
    per_phase = -(-len(h) // (k * _WIDE)) * _WIDE
    padded = np.zeros(per_phase * k)
    padded[: len(h)] = h[::-1]  # convolution runs the taps backwards
    return np.ascontiguousarray(padded.reshape(per_phase, k).T, dtype=np.float32)


def sparse_taps(taps: npt.NDArray[Any]) -> tuple[npt.NDArray[np.int64], F32]:
    """Return the places and values of the taps that are not zero, one at least.

    ``taps`` are in the order of the samples that they multiply, axes (tap,).
    """
    places = np.flatnonzero(taps) if taps.any() else np.zeros(1, np.int64)
    return places.astype(np.int64), taps[places].astype(np.float32)


def flat_rows(array: npt.NDArray[Any], *, writeable: bool = False) -> tuple[npt.NDArray[Any], int]:
    """Return the memory of all rows as a vector, and the distance between rows.

    A column slice of a C-ordered array needs no copy; anything else is made C-contiguous.
    """
    size = array.itemsize
    if array.strides[1] != size or array.strides[0] < 0 or array.strides[0] % size:
        array = np.ascontiguousarray(array)
    step = array.strides[0] // size
    length = step * (array.shape[0] - 1) + array.shape[1]
    flat = np.lib.stride_tricks.as_strided(array, (length,), (size,), writeable=writeable)
    return flat, step


def per_row(values: npt.ArrayLike, n: int, name: str, dtype: Any) -> npt.NDArray[Any]:
    """Return one value for each row; KernelInputError where there is another number of them."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim > 1 or array.shape not in ((), (n,)) or not np.isfinite(array).all():
        raise KernelInputError(
            where=name, expected=f"one finite number or {n}", got=f"shape {array.shape}"
        )
    return np.array(np.broadcast_to(array, n), dtype=dtype, order="C")


def checked_rows(
    shape: tuple[int, ...], dtype: str, k: int, n_out: int, first: int, rows: npt.ArrayLike | None
) -> npt.NDArray[np.int64]:
    """Return the picked rows; KernelInputError where counts, stretch or rows are not allowed."""
    if len(shape) != 2 or dtype not in DTYPES:
        raise KernelInputError(
            where="raw",
            expected=f"channels x samples of {', '.join(DTYPES)}",
            got=f"shape {shape}, {dtype}",
        )
    if first < 0 or n_out < 0 or (n_out and first + (n_out - 1) * k >= shape[1]):
        raise KernelInputError(
            where="first, n_out",
            expected=f"a stretch inside the {shape[1]} samples",
            got=f"first {first}, {n_out} outputs every {k} samples",
        )
    picked = np.asarray(np.arange(shape[0]) if rows is None else rows, dtype=np.int64)
    if picked.size and (picked.min() < 0 or picked.max() >= shape[0]):
        raise KernelInputError(
            where="rows", expected=f"rows of 0 to {shape[0] - 1}", got=f"{picked.tolist()}"
        )
    return picked


def check_out(shape: tuple[int, ...], dtype: str, n: int, at: int, n_out: int) -> None:
    """Raise KernelInputError where the array to be written to does not fit."""
    if shape[0] != n or not 0 <= at <= shape[1] - n_out or dtype != "float32":
        raise KernelInputError(
            where="out",
            expected=f"C-contiguous float32 of {n} rows and at least {at + n_out} columns",
            got=f"shape {shape}, {dtype}",
        )


@kernel(
    device="brainforge.kernels.device.decimate:decimate",
    tolerance=1e-6,
    raw=True,
    supports="at most about 5,000 taps: samples and taps share 48 KiB",
)
def decimate(
    raw: npt.NDArray[Any],
    phases: F32,
    n_out: int,
    *,
    first: int = 0,
    rows: npt.ArrayLike | None = None,
    offset: npt.ArrayLike = 0.0,
    scale: npt.ArrayLike = 1.0,
    out: F32 | None = None,
    at: int = 0,
    n_threads: int = 1,
) -> F32:
    """Filter, decimate and calibrate raw counts.

    Output m of a row is ``scale * sum_i taps[i] * (raw[first + m * k + n_taps - 1 - i] -
    offset)``: with taps of odd length, the output centred on source column ``first +
    (n_taps - 1) / 2 + m * k``.

    Parameters
    ----------
    raw : int16, int32, float32 or float64 array, axes (channel, sample)
        Finite counts. Copied where the samples of a row are not next to one another.
    phases : float32 array, axes (phase, tap)
        From `polyphase`; its first axis is the factor k.
    n_out : int
        Number of outputs a row.
    first : int
        Column of the earliest sample that the first output depends on.
    rows : array of int | None
        The rows to take, in the order of the outputs; None for all.
    offset : float or array, axes (row,)
        In counts; taken off before float32 (in float64 for int32 and float64).
    scale : float or array, axes (row,)
        Working units per count.
    out : float32 array, axes (row, sample) | None
        Written at columns ``at`` to ``at + n_out``; C-contiguous. None for a new one.
    n_threads : int
        Threads over the rows.

    Returns
    -------
    out : float32 array, axes (row, sample)
        Relative to the float64 definition of the rows' size, about 3e-7.
    """
    k = phases.shape[0]
    picked = checked_rows(raw.shape, raw.dtype.name, k, n_out, first, rows)
    n = len(picked)
    if out is None:
        out, at = np.empty((n, n_out), np.float32), 0
    check_out(out.shape, out.dtype.name if out.flags.c_contiguous else "strided", n, at, n_out)
    if not n or not n_out:
        return out
    flat, step = flat_rows(raw)
    begins = picked * step + first
    shift = per_row(offset, n, "offset", DTYPES[raw.dtype.name])
    factor = per_row(scale, n, "scale", np.float32)

    places, taps = sparse_taps(phases.T.ravel())
    filtered = k, places, taps

    def work(part: slice) -> None:
        counts = flat, begins[part], raw.shape[1] - first, shift[part], factor[part]
        _decimate(*counts, *filtered, out[part], at, n_out)

    parallel_map(work, slices(n, n_threads * 2 if n_threads > 1 else 1, 16), n_threads)
    return out


def _decimate(
    flat: npt.NDArray[Any],
    begins: npt.NDArray[np.int64],
    n_raw: int,
    offset: npt.NDArray[Any],
    scale: F32,
    k: int,
    places: npt.NDArray[np.int64],
    taps: F32,
    out: F32,
    at: int,
    n_out: int,
) -> None:
    """Give `decimate_rows` its working memory: a tile of counts and one of outputs."""
    from brainforge.kernels.lane_fir import TILE, decimate_rows
    from brainforge.kernels.vectors import WIDTH

    reach = int(places[-1]) + 1
    tile = min(max((TILE - reach) // k, 16), n_out)
    z = scratch("decimate counts", (((tile - 1) * k + reach) * WIDTH,), np.float32)
    y = scratch("decimate outputs", (tile * WIDTH,), np.float32)
    decimate_rows(flat, begins, n_raw, offset, scale, k, places, taps, z, y, out, at, n_out)
