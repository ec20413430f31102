"""Polyphase FIR decimation of raw counts straight to float32, one pass over the samples."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.errors import KernelInputError
from brainforge.kernels.jit import lazy_jit
from brainforge.kernels.parallel import parallel_map, slices

F32 = npt.NDArray[np.float32]
#: dtype of the counts -> dtype in which the offset is taken off, so that no digit is lost
DTYPES = {"int16": "float32", "float32": "float32", "int32": "float64", "float64": "float64"}
_TILE = 4096  # source samples at a time, so that phases and sums stay in the nearest cache
_WIDE = 4  # taps a pass over the sums


@lazy_jit(
    [
        f"void(Array({raw}, 1, 'C', readonly=True), int64[::1], int64, {off}[::1], float32[::1],"
        " float32[:,::1], float32[:,::1], int64, int64)"
        for raw, off in DTYPES.items()
    ],
)
def _decimate_rows(
    flat: Any,
    begins: Any,
    n_raw: int,
    offset: Any,
    scale: Any,
    phases: Any,
    out: Any,
    at: int,
    n_out: int,
) -> None:
    """Filter and decimate the rows that lie at flat[begins[r] : begins[r] + n_raw].

    ``phases[p, q]`` is the tap of source sample q * k + p. The taps that reach beyond the end
    of a row are the zeros that pad the phases.
    """
    k, n_taps = phases.shape
    tile = max(_TILE // k, 64)
    buffer = np.empty((k, tile + n_taps), np.float32)
    acc = np.empty(tile, np.float32)
    real = offset.dtype.type
    for r in range(begins.shape[0]):
        shift = offset[r]
        for begin in range(0, n_out, tile):
            sums = acc[: min(tile, n_out - begin)]
            n = sums.shape[0]
            column = flat[begins[r] + begin * k : begins[r] + n_raw]
            whole = min(n + n_taps, column.shape[0] // k)
            # All phases of a sample in one loop of constant step compile to shuffles: 7x the
            # speed of a strided loop for each phase.
            if k == 4:
                b0, b1 = buffer[0, :whole], buffer[1, :whole]
                b2, b3 = buffer[2, :whole], buffer[3, :whole]
                for i in range(whole):
                    b0[i] = real(column[4 * i]) - shift
                    b1[i] = real(column[4 * i + 1]) - shift
                    b2[i] = real(column[4 * i + 2]) - shift
                    b3[i] = real(column[4 * i + 3]) - shift
            elif k == 2:
                b0, b1 = buffer[0, :whole], buffer[1, :whole]
                for i in range(whole):
                    b0[i] = real(column[2 * i]) - shift
                    b1[i] = real(column[2 * i + 1]) - shift
            elif k == 1:
                b0 = buffer[0, :whole]
                for i in range(whole):
                    b0[i] = real(column[i]) - shift
            else:
                for i in range(whole):
                    for p in range(k):
                        buffer[p, i] = real(column[k * i + p]) - shift
            buffer[:, whole : n + n_taps] = np.float32(0)
            for i in range(whole * k, min(column.shape[0], (n + n_taps) * k)):
                buffer[i % k, i // k] = real(column[i]) - shift
            sums[:] = np.float32(0)
            for p in range(k):
                for q in range(0, n_taps, _WIDE):
                    h0, h1 = phases[p, q], phases[p, q + 1]
                    h2, h3 = phases[p, q + 2], phases[p, q + 3]
                    c0, c1 = buffer[p, q : q + n], buffer[p, q + 1 : q + 1 + n]
                    c2, c3 = buffer[p, q + 2 : q + 2 + n], buffer[p, q + 3 : q + 3 + n]
                    for i in range(n):
                        sums[i] += h0 * c0[i] + h1 * c1[i] + h2 * c2[i] + h3 * c3[i]
            target = out[r, at + begin : at + begin + n]
            for i in range(n):
                target[i] = sums[i] * scale[r]


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


def _flat(raw: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], int]:
    """Return the memory of all rows as a vector, and the distance between rows.

    A column slice of a C-ordered array needs no copy; anything else is made C-contiguous.
    """
    size = raw.itemsize
    if raw.strides[1] != size or raw.strides[0] < 0 or raw.strides[0] % size:
        raw = np.ascontiguousarray(raw)
    step = raw.strides[0] // size
    length = step * (raw.shape[0] - 1) + raw.shape[1]
    return np.lib.stride_tricks.as_strided(raw, (length,), (size,), writeable=False), step


def _per_row(values: npt.ArrayLike, n: int, name: str, dtype: Any) -> npt.NDArray[Any]:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim > 1 or array.shape not in ((), (n,)) or not np.isfinite(array).all():
        raise KernelInputError(
            where=name, expected=f"one finite number or {n}", got=f"shape {array.shape}"
        )
    return np.array(np.broadcast_to(array, n), dtype=dtype, order="C")


def _checked_rows(
    raw: npt.NDArray[Any], k: int, n_out: int, first: int, rows: npt.ArrayLike | None
) -> npt.NDArray[np.int64]:
    if raw.ndim != 2 or raw.dtype.name not in DTYPES:
        raise KernelInputError(
            where="raw",
            expected=f"channels x samples of {', '.join(DTYPES)}",
            got=f"shape {raw.shape}, {raw.dtype}",
        )
    if first < 0 or n_out < 0 or (n_out and first + (n_out - 1) * k >= raw.shape[1]):
        raise KernelInputError(
            where="first, n_out",
            expected=f"a stretch inside the {raw.shape[1]} samples",
            got=f"first {first}, {n_out} outputs every {k} samples",
        )
    picked = np.asarray(np.arange(raw.shape[0]) if rows is None else rows, dtype=np.int64)
    if picked.size and (picked.min() < 0 or picked.max() >= raw.shape[0]):
        raise KernelInputError(
            where="rows", expected=f"rows of 0 to {raw.shape[0] - 1}", got=f"{picked.tolist()}"
        )
    return picked


def _check_out(out: F32, n: int, at: int, n_out: int) -> None:
    fits = out.shape[0] == n and 0 <= at <= out.shape[1] - n_out
    if not fits or out.dtype != np.float32 or not out.flags.c_contiguous:
        raise KernelInputError(
            where="out",
            expected=f"C-contiguous float32 of {n} rows and at least {at + n_out} columns",
            got=f"shape {out.shape}, {out.dtype}",
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
    picked = _checked_rows(raw, k, n_out, first, rows)
    n = len(picked)
    if out is None:
        out, at = np.empty((n, n_out), np.float32), 0
    _check_out(out, n, at, n_out)
    if not n or not n_out:
        return out
    flat, step = _flat(raw)
    begins = picked * step + first
    shift = _per_row(offset, n, "offset", DTYPES[raw.dtype.name])
    factor = _per_row(scale, n, "scale", np.float32)

    def work(part: slice) -> None:
        _decimate_rows(
            flat,
            begins[part],
            raw.shape[1] - first,
            shift[part],
            factor[part],
            phases,
            out[part],
            at,
            n_out,
        )

    parallel_map(work, slices(n, n_threads * 2 if n_threads > 1 else 1), n_threads)
    return out
