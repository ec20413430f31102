"""How spectra and pairs lie in memory: aligned buffers, and the upper triangle packed row by row.

Pair ``p`` runs over (0, 1), (0, 2), ..., (1, 2), ...: the order of ``numpy.triu_indices(n, 1)``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.errors import KernelInputError
from brainforge.kernels.jit import lazy_jit

#: epochs are packed in groups of this many: 16 float32 fill a cache line
GROUP = 16
_CACHE_LINE = 64


def aligned(shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """Return a float32 array of zeros that starts on a cache line (unaligned costs up to 1.5x)."""
    n_bytes = int(np.prod(shape, dtype=np.int64)) * 4
    raw = np.zeros(n_bytes + _CACHE_LINE, dtype=np.uint8)
    offset = -raw.ctypes.data % _CACHE_LINE
    return raw[offset : offset + n_bytes].view(np.float32).reshape(shape)


def whole_groups(n: int) -> int:
    """Return ``n`` rounded up to whole groups of epochs."""
    return -(-n // GROUP) * GROUP


def n_pairs(n_channels: int) -> int:
    """Return the number of channel pairs i < j."""
    return n_channels * (n_channels - 1) // 2


@lru_cache(maxsize=4)
def pair_rows(n_channels: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return the first and the second channel of every pair."""
    first, second = np.triu_indices(n_channels, 1)
    first.flags.writeable = second.flags.writeable = False
    return first, second


def pair_products(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return ``values[i] * values[j]`` of every pair, axes (pair,)."""
    first, second = pair_rows(len(values))
    return values[first] * values[second]


def to_square(packed: npt.NDArray[Any], n_channels: int, symmetry: str) -> npt.NDArray[Any]:
    """Return pairs as a (channel, channel) matrix with a zero diagonal.

    Parameters
    ----------
    packed : array, axes (pair,)
    n_channels : int
    symmetry : {"symmetric", "antisymmetric", "complement", "hermitian"}
        What (j, i) is, given v at (i, j): v, -v, 1 - v or the complex conjugate of v.
    """
    first, second = pair_rows(n_channels)
    square = np.zeros((n_channels, n_channels), dtype=packed.dtype)
    square[first, second] = packed
    mirrored: dict[str, Callable[[], npt.NDArray[Any]]] = {
        "symmetric": lambda: packed,
        "antisymmetric": lambda: -packed,
        "complement": lambda: 1 - packed,
        "hermitian": packed.conj,
    }
    square[second, first] = mirrored[symmetry]()
    return square


@lazy_jit(["void(float32[:, ::1], float64[::1])"], fastmath=False)
def add_upper(square: Any, out: Any) -> None:
    """Add the upper triangle of a matrix to packed pairs."""
    n = square.shape[0]
    at = 0
    for i in range(n - 1):
        row = square[i, i + 1 :]
        part = out[at : at + n - 1 - i]
        for j in range(n - 1 - i):
            part[j] += row[j]
        at += n - 1 - i


@lazy_jit(["void(float32[:, ::1], float64[::1])"], fastmath=False)
def add_upper_skew(square: Any, out: Any) -> None:
    """Add the upper triangle of a matrix less its transpose to packed pairs."""
    n = square.shape[0]
    at = 0
    for i in range(n - 1):
        for j in range(i + 1, n):
            out[at] += square[i, j] - square[j, i]
            at += 1


def check_chunk(chunk: npt.NDArray[np.float32], n_epochs: int) -> None:
    """Raise KernelInputError unless ``chunk`` is a packed chunk that can hold ``n_epochs``.

    Parameters
    ----------
    chunk : float32 array, C order, axes (frequency, channel, 2 * taper, epoch)
    n_epochs : int
        How many of its epochs are filled.
    """
    if chunk.ndim != 4 or chunk.dtype != np.float32 or not chunk.flags.c_contiguous:
        raise KernelInputError(
            where="chunk",
            expected="a C-ordered float32 array of frequency x channel x 2 tapers x epoch",
            got=f"{chunk.dtype} of shape {chunk.shape}",
            fix="make it with new_chunk and fill it with pack",
        )
    if not 0 <= n_epochs <= chunk.shape[3] or chunk.shape[3] % GROUP:
        raise KernelInputError(
            where="n_epochs",
            expected=f"0 to {chunk.shape[3]} epochs in groups of {GROUP}",
            got=str(n_epochs),
        )
