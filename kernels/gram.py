"""Gram matrices: sums of products of all pairs of channels, in one pass over float32 blocks.

Products are formed in float32 over at most 16,384 samples and added up in float64: within such
a stretch the rounding stays near 1e-6 of the norms, and the addition loses nothing more.

A masked sample of a channel counts as absent for every pair the channel is in: it enters
neither the sum nor the pair's count. So one railed channel costs the others nothing, and
``sums / counts`` is each pair's mean product over the samples that both can be believed at.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.errors import KernelInputError
from brainforge.kernels.dispatch import kernel
from brainforge.kernels.scratch import scratch
from brainforge.kernels.triangle import add_pair_counts, add_upper, full, n_pairs

TILE = 16_384

Floats = npt.NDArray[np.float64]
F32 = npt.NDArray[np.float32]
Good = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.integer]
_NONE = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True)
class Gram:
    """Sums of products and the number of samples behind each.

    Parameters
    ----------
    sums : float64 array, axes (channel, channel)
        Sum over samples of x_i x_j, in the product of the channels' units.
    counts : float64 array, axes (channel, channel)
        Number of samples at which both channels could be believed.
    """

    sums: Floats
    counts: Floats

    def merge(self, other: Gram) -> Gram:
        """Return the Gram matrix of both stretches together."""
        if self.sums.shape != other.sums.shape:
            raise KernelInputError(
                where="other", expected=f"shape {self.sums.shape}", got=f"{other.sums.shape}"
            )
        return Gram(self.sums + other.sums, self.counts + other.counts)

    def mean(self) -> Floats:
        """Return mean products, axes (channel, channel); 0 for pairs without a sample."""
        return np.divide(
            self.sums, self.counts, out=np.zeros_like(self.sums), where=self.counts > 0
        )


@kernel(
    device="brainforge.kernels.device.gram:gram",
    takes={"data": "float32 (channel, sample)", "good": "bool (channel, sample)"},
)
def gram(
    data: F32, good: Good | None = None, *, remove_mean: bool = False, tile: int = TILE
) -> Gram:
    """Return the Gram matrix of a block.

    Parameters
    ----------
    data : float32 array, axes (channel, sample)
        Values at masked samples may be anything, NaN included.
    good : bool array, axes (channel, sample) | None
        Which samples to believe; None for all.
    remove_mean : bool
        Take each channel's mean over its own believed samples of this block off first.
    tile : int
        Samples whose products are formed in float32 before they are added in float64.

    Returns
    -------
    Gram

    Raises
    ------
    KernelInputError
        Where ``data`` is not float32 and 2-D, or ``good`` has another shape.
    """
    check_gram_input(data, good, tile)
    n, n_samples = data.shape
    means = channel_means(data, good) if remove_mean else None
    if good is None:
        counts = np.full((n, n), float(n_samples))
        nothing = np.ones((0, n_samples), dtype=bool)
        return Gram(full(_products(data, nothing, _NONE, means, tile), n), counts)
    rows = np.flatnonzero(~good.all(axis=1))
    packed = _products(data, good[rows], rows, means, tile)
    return Gram(full(packed, n), full(pair_counts(good[rows], rows, n), n))


@kernel(
    device="brainforge.kernels.device.gram:gram_upper",
    takes={"data": "float32 (channel, sample)", "good": "bool (row, sample)"},
)
def gram_upper(
    data: F32, good: Good | None = None, rows: Rows | None = None, *, tile: int = TILE
) -> Floats:
    """Return the upper triangle of the sums of `gram`, float64, axes (pair,).

    Parameters
    ----------
    data : float32 array, axes (channel, sample)
    good : bool array, axes (row, sample) | None
        Which samples of the channels ``rows`` to believe; all others are believed throughout.
    rows : int64 array, axes (row,) | None
        None where ``good`` speaks of all channels.
    tile : int
    """
    if good is None:
        good, rows = np.ones((0, data.shape[-1]), dtype=bool), _NONE
    elif rows is None:
        rows = np.arange(len(data))
    check_gram_input(data, None, tile)
    check_masked(good, rows, data.shape)
    return _products(data, good, rows, None, tile)


def pair_counts(good: Good, rows: Rows, n: int) -> Floats:
    """Return at how many samples both channels of a pair are believed, axes (pair,).

    Parameters
    ----------
    good : bool array, axes (row, sample)
        Of the channels ``rows``; all others are believed throughout.
    rows : int64 array, axes (row,)
        In rising order.
    n : int
        Number of channels.
    """
    n_samples = good.shape[1]
    check_masked(good, rows, (n, n_samples))
    believed = np.full(n, float(n_samples))
    believed[rows] = np.count_nonzero(good, axis=1)
    counts = np.zeros(n_pairs(n))
    # counts up to the tile's length are exact in float32; the float64 sums hold the rest
    joint = np.zeros((len(rows), len(rows)))
    for at in range(0, n_samples, TILE):
        part = good[:, at : at + TILE].astype(np.float32)
        joint += part @ part.T
    add_pair_counts(believed, np.asarray(rows, dtype=np.int64), joint, counts)
    return counts


def check_gram_input(data: Any, good: Good | None, tile: int) -> None:
    """Raise KernelInputError unless the arguments fit together."""
    if good is not None and good.shape != data.shape:
        raise KernelInputError(where="good", expected=f"shape {data.shape}", got=f"{good.shape}")
    if tile < 1:
        raise KernelInputError(where="tile", expected="at least 1 sample", got=str(tile))


def check_masked(good: Good, rows: Rows, shape: tuple[int, ...]) -> None:
    """Raise KernelInputError unless ``good`` speaks of channels ``rows`` of ``shape``."""
    if good.shape != (len(rows), shape[1]) or not all(0 <= r < shape[0] for r in rows):
        raise KernelInputError(
            where="good",
            expected=f"{len(rows)} rows of {shape[0]} channels x {shape[1]} samples",
            got=f"shape {good.shape} for rows {list(rows)[:5]}",
        )


def channel_means(data: F32, good: Good | None) -> F32:
    """Return each channel's mean over its believed samples, 0 without one, axes (channel, 1)."""
    believed = np.ones((1, 1), dtype=bool) if good is None else good
    n_good = np.broadcast_to(believed, data.shape).sum(axis=1, keepdims=True)
    totals = np.sum(data, axis=1, keepdims=True, where=believed, dtype=np.float64)
    return np.divide(totals, n_good, out=np.zeros_like(totals), where=n_good > 0).astype(np.float32)


def _products(data: F32, good: Good, rows: Rows, means: F32 | None, tile: int) -> Floats:
    """Return packed sums of products; ``good`` is that of the channels ``rows``."""
    n, n_samples = data.shape
    sums = np.zeros(n_pairs(n))
    if not n:
        return sums
    product = scratch("Gram product", (n, n), np.float32)
    for at in range(0, n_samples, tile):
        part = data[:, at : at + tile]
        if means is not None or len(rows) or part.strides[1] != part.itemsize:
            kept = scratch("Gram tile", part.shape, np.float32)
            np.subtract(part, np.float32(0) if means is None else means, out=kept)
            part = kept
        for row, believed in zip(rows, good[:, at : at + tile]):
            part[row, ~believed] = 0
        # a matrix times its own transpose: NumPy does half the work
        np.matmul(part, part.T, out=product)
        add_upper(product, sums)
    return sums
