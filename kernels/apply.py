"""Apply one matrix to all channels of a block: ``y = matrix @ x`` in float32.

The samples are cut into tiles at fixed places of the block, each tile is one matrix product of
one shape, so the numbers depend on neither the number of threads nor the buffer. BLAS may round
a column differently in a product of another width: feed blocks of one fixed grid, as the
pipeline does, and any cutting of the stream gives the same bits.

What cleans a recording (field correction, components taken out, a few channels repaired) leaves
most of the sensor space alone: identity plus a matrix of low rank. `apply_low_rank` reads and
writes the block at little more than the cost of copying it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.errors import KernelInputError
from brainforge.kernels.dispatch import kernel
from brainforge.kernels.parallel import parallel_map
from brainforge.kernels.scratch import scratch

TILE = 2048
#: columns of a low-rank product: whole blocks of 10 s, whose rows lie in memory one after another
LOW_RANK_TILE = 4096
#: what identity plus low rank may miss of a matrix, relative to its largest element
LOW_RANK_ERROR = 1e-9

Array32 = npt.NDArray[np.float32]
Matrix = npt.NDArray[np.float32] | npt.NDArray[np.float64]


@kernel(
    device="brainforge.kernels.device.apply:apply_matrix",
    tolerance=2e-6,
    takes={"matrix": "float32|float64 (output, input)", "data": "float32 (channel, sample)"},
)
def apply_matrix(
    matrix: Matrix, data: Array32, out: Array32 | None = None, *, n_threads: int = 1
) -> Array32:
    """Return ``matrix @ data``.

    Parameters
    ----------
    matrix : array, axes (output channel, input channel)
        Rounded to float32 for the product.
    data : float32 array, axes (channel, sample)
    out : float32 array, axes (output channel, sample) | None
        Written to and returned; must not share memory with ``data``.
    n_threads : int
        Threads over tiles; hold BLAS to one thread (`single_threaded_blas`) where it is over 1.

    Returns
    -------
    float32 array, axes (output channel, sample)

    Raises
    ------
    KernelInputError
        Where shapes or types do not fit, or ``out`` overlaps ``data``.
    """
    check_apply_input(matrix, data)
    target = _checked_out(out, (matrix.shape[0], data.shape[1]), data)
    single = np.ascontiguousarray(matrix, dtype=np.float32)

    def one(at: int) -> None:
        np.matmul(single, data[:, at : at + TILE], out=target[:, at : at + TILE])

    parallel_map(one, range(0, data.shape[1], TILE), n_threads)
    return target


@dataclass(frozen=True)
class LowRank:
    """A square matrix as identity plus ``left @ right``.

    Parameters
    ----------
    left : float32 array, axes (channel, component)
    right : float32 array, axes (component, channel)
    """

    left: Array32
    right: Array32


def low_rank(matrix: npt.NDArray[np.float64], most: int | None = None) -> LowRank | None:
    """Return a matrix as identity plus low rank, or None where it is not of that form.

    Parameters
    ----------
    matrix : float64 array, axes (output channel, input channel)
    most : int | None
        Largest rank; None for a sixth of the channels, beyond which a product is as fast.

    Notes
    -----
    The range is found by a random projection with a fixed seed (Halko et al. 2011, SIAM Review
    53:217-288), then cut at `LOW_RANK_ERROR`.
    """
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not len(matrix):
        return None
    n = len(matrix)
    most = n // 6 if most is None else min(most, n)
    rest = matrix - np.eye(n)
    limit = LOW_RANK_ERROR * float(np.abs(matrix).max(initial=1.0))
    probe = np.random.default_rng(0).standard_normal((n, min(most + 8, n)))
    basis, _ = np.linalg.qr(rest @ probe)
    inside = basis.T @ rest
    if np.abs(rest - basis @ inside).max() > limit:
        return None
    left, values, right = np.linalg.svd(inside, full_matrices=False)
    rank = int(np.count_nonzero(values > limit))
    if rank > most:
        return None
    root = np.sqrt(values[:rank])
    return LowRank(
        np.ascontiguousarray((basis @ left[:, :rank]) * root, dtype=np.float32),
        np.ascontiguousarray(root[:, None] * right[:rank], dtype=np.float32),
    )


@kernel(
    device="brainforge.kernels.device.apply:apply_low_rank",
    tolerance=2e-6,
    takes={"data": "float32 (channel, sample)"},
)
def apply_low_rank(
    update: LowRank, data: Array32, out: Array32 | None = None, *, n_threads: int = 1
) -> Array32:
    """Return ``data + left @ (right @ data)``.

    Parameters
    ----------
    update : LowRank
    data, out, n_threads
        As for `apply_matrix`.

    Returns
    -------
    float32 array, axes (channel, sample)

    Raises
    ------
    KernelInputError
        Where shapes or types do not fit, or ``out`` overlaps ``data``.
    """
    check_apply_input(update.right, data)
    target = _checked_out(out, (update.left.shape[0], data.shape[1]), data)

    def one(at: int) -> None:
        part, into = data[:, at : at + LOW_RANK_TILE], target[:, at : at + LOW_RANK_TILE]
        inner = scratch("low rank", (len(update.right), part.shape[1]), np.float32)
        np.matmul(update.right, part, out=inner)
        np.matmul(update.left, inner, out=into)
        into += part

    parallel_map(one, range(0, data.shape[1], LOW_RANK_TILE), n_threads)
    return target


def check_apply_input(matrix: Any, data: Any) -> None:
    """Raise KernelInputError unless ``data`` has a row for every column of the matrix."""
    if matrix.shape[1] != data.shape[0]:
        raise KernelInputError(
            where="matrix", expected=f"{data.shape[0]} columns", got=f"shape {matrix.shape}"
        )


def _checked_out(out: Array32 | None, shape: tuple[int, int], data: Array32) -> Array32:
    if out is None:
        return np.empty(shape, dtype=np.float32)
    if out.shape != shape or out.dtype != np.float32:
        raise KernelInputError(
            where="out", expected=f"float32 of shape {shape}", got=f"{out.dtype} of {out.shape}"
        )
    if np.may_share_memory(out, data):
        raise KernelInputError(
            where="out", expected="memory of its own", got="the memory of data", fix="pass another"
        )
    return out
