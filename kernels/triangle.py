"""Symmetric matrices kept as their upper triangle, row after row: half the memory and work."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from brainforge.errors import KernelInputError
from brainforge.kernels.jit import lazy_jit


def n_pairs(n: int) -> int:
    """Return how many elements the triangle of an n x n matrix has, diagonal included."""
    return n * (n + 1) // 2


def positions(n: int) -> npt.NDArray[np.int64]:
    """Return where the triangle's elements lie in the flattened n x n matrix, axes (pair,)."""
    i, j = np.triu_indices(n)
    return np.asarray(i * n + j, dtype=np.int64)


def full(packed: npt.NDArray[np.float64], n: int) -> npt.NDArray[np.float64]:
    """Return the symmetric n x n matrix of a packed triangle.

    Parameters
    ----------
    packed : float64 array, axes (pair,)
        Pairs (0, 0), (0, 1), ... (0, n - 1), (1, 1), ...
    n : int

    Raises
    ------
    KernelInputError
        Where the length is not that of the triangle.
    """
    if packed.shape != (n_pairs(n),):
        raise KernelInputError(
            where="packed", expected=f"{n_pairs(n)} pairs", got=f"shape {packed.shape}"
        )
    out = np.empty((n, n))
    _unpack(np.ascontiguousarray(packed, dtype=np.float64), out)
    return out


@lazy_jit(["void(Array(float64, 1, 'C', readonly=True), float64[:, ::1])"], fastmath=False)
def _unpack(packed, out):  # type: ignore[no-untyped-def]
    n, at = out.shape[0], 0
    for i in range(n):
        for j in range(i, n):
            out[i, j] = packed[at]
            out[j, i] = packed[at]
            at += 1


@lazy_jit(["void(Array(float32, 2, 'C', readonly=True), float64[::1])"])
def add_upper(matrix, total):  # type: ignore[no-untyped-def]
    """Add the upper triangle of a matrix to a packed one."""
    n, at = matrix.shape[0], 0
    for i in range(n):
        row, into = matrix[i, i:n], total[at : at + n - i]
        for j in range(n - i):
            into[j] += np.float64(row[j])
        at += n - i


@lazy_jit(
    [
        "void(Array(float64, 1, 'C', readonly=True), Array(int64, 1, 'C', readonly=True),"
        " Array(float64, 2, 'C', readonly=True), float64[::1])"
    ],
    fastmath=False,
)
def add_pair_counts(believed, masked, joint, total):  # type: ignore[no-untyped-def]
    """Add how many samples both channels of each pair are believed at, to a packed triangle.

    ``believed`` counts them for each channel, ``joint`` for each pair of ``masked`` channels,
    which are in rising order.
    """
    n, at = len(believed), 0
    for i in range(n):
        own, others, into = believed[i], believed[i:n], total[at : at + n - i]
        for j in range(n - i):
            into[j] += min(own, others[j])
        at += n - i
    for p in range(len(masked)):
        i = masked[p]
        row = i * n - i * (i - 1) // 2
        for q in range(p, len(masked)):
            j = masked[q]
            total[row + j - i] += joint[p, q] - min(believed[i], believed[j])


_SQUARE = "Array(float32, 2, 'C', readonly=True)"


@lazy_jit([f"void({_SQUARE}, {_SQUARE}, {_SQUARE}, complex128[:, ::1])"], fastmath=False)
def add_hermitian(real, more, cross, total):  # type: ignore[no-untyped-def]
    """Add (real + more) + i (cross - its transpose) to a complex matrix."""
    n = total.shape[0]
    for i in range(n):
        for j in range(n):
            total[i, j] += complex(
                np.float64(real[i, j]) + np.float64(more[i, j]),
                np.float64(cross[i, j]) - np.float64(cross[j, i]),
            )
