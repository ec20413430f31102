"""Apply one matrix to all channels of a block: ``y = matrix @ x`` in float32.

The samples are cut into tiles at fixed places of the block, each tile is one matrix product of
one shape, so the numbers depend on neither the number of threads nor the buffer. BLAS may round
a column differently in a product of another width: feed blocks of one fixed grid, as the
pipeline does, and any cutting of the stream gives the same bits.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from brainforge.errors import KernelInputError
from brainforge.kernels.parallel import parallel_map

TILE = 2048

Array32 = npt.NDArray[np.float32]


def apply_matrix(
    matrix: npt.NDArray[np.float32] | npt.NDArray[np.float64],
    data: Array32,
    out: Array32 | None = None,
    *,
    n_threads: int = 1,
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
    if data.ndim != 2 or data.dtype != np.float32:
        raise KernelInputError(
            where="data",
            expected="float32, channels x samples",
            got=f"{data.dtype} of shape {data.shape}",
        )
    if matrix.ndim != 2 or matrix.shape[1] != data.shape[0]:
        raise KernelInputError(
            where="matrix", expected=f"{data.shape[0]} columns", got=f"shape {matrix.shape}"
        )
    shape = (matrix.shape[0], data.shape[1])
    if out is None:
        out = np.empty(shape, dtype=np.float32)
    elif out.shape != shape or out.dtype != np.float32:
        raise KernelInputError(
            where="out", expected=f"float32 of shape {shape}", got=f"{out.dtype} of {out.shape}"
        )
    elif np.may_share_memory(out, data):
        raise KernelInputError(
            where="out", expected="memory of its own", got="the memory of data", fix="pass another"
        )
    single = np.ascontiguousarray(matrix, dtype=np.float32)
    target = out

    def one(at: int) -> None:
        np.matmul(single, data[:, at : at + TILE], out=target[:, at : at + TILE])

    parallel_map(one, range(0, data.shape[1], TILE), n_threads)
    return out
