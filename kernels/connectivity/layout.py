"""How spectra and pairs lie in memory: aligned buffers, and the upper triangle packed row by row.

Pair ``p`` runs over (0, 1), (0, 2), ..., (1, 2), ...: the order of ``numpy.triu_indices(n, 1)``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from brainforge.errors import KernelInputError
from brainforge.kernels.namespace import dtype_name

#: channels lie side by side in blocks of this many: 16 float32 fill a cache line
LANES: Final = 16
GROUP: Final = 16
#: the sums that all spectral measures are finished from; `sums` says what they are
SUMS: Final = ("im", "abs_im", "positive", "im2", "re", "unit_re", "unit_im")
_CACHE_LINE = 64


def aligned(shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """Return a float32 array of zeros that starts on a cache line (unaligned costs up to 1.5x)."""
    n_bytes = int(np.prod(shape, dtype=np.int64)) * 4
    raw = np.zeros(n_bytes + _CACHE_LINE, dtype=np.uint8)
    offset = -raw.ctypes.data % _CACHE_LINE
    return raw[offset : offset + n_bytes].view(np.float32).reshape(shape)


def n_blocks(n_channels: int) -> int:
    """Return how many blocks of `LANES` channels hold ``n_channels``."""
    return -(-n_channels // LANES)


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


def check_chunk(chunk: Any, n_epochs: int, n_bins: int, n_channels: int, n_tapers: int) -> None:
    """Raise KernelInputError unless ``chunk`` is a packed chunk that can hold ``n_epochs``.

    Parameters
    ----------
    chunk : float32 array, C order, axes (frequency, block of channels, epoch, 2 * taper, lane)
    n_epochs : int
        How many of its epochs are filled.
    n_bins, n_channels, n_tapers : int
        What it has to hold.
    """
    kind = dtype_name(chunk)
    flags = getattr(chunk, "flags", None)
    if chunk.ndim != 5 or kind != "float32" or not (flags is None or flags.c_contiguous):
        raise KernelInputError(
            where="chunk",
            expected="a C-ordered float32 array of frequency x block x epoch x 2 tapers x lane",
            got=f"{kind} of shape {chunk.shape}",
            fix="make it with new_chunk and fill it with pack",
        )
    shape = (n_bins, n_blocks(n_channels), chunk.shape[2], 2 * n_tapers, LANES)
    if chunk.shape != shape:
        raise KernelInputError(
            where="chunk",
            expected=f"{n_bins} bins x {shape[1]} blocks x epochs x {2 * n_tapers} rows x {LANES}",
            got=f"shape {chunk.shape}",
        )
    if not 0 <= n_epochs <= chunk.shape[2]:
        raise KernelInputError(
            where="n_epochs", expected=f"0 to {chunk.shape[2]} epochs", got=str(n_epochs)
        )
