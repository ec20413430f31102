"""Gram matrices: sums of products of all pairs of channels, in one pass over float32 blocks.

Products are formed in float32 over at most 16,384 samples and added up in float64: within such
a stretch the rounding stays near 1e-6 of the norms, and the addition loses nothing more.

A masked sample of a channel counts as absent for every pair the channel is in: it enters
neither the sum nor the pair's count. So one railed channel costs the others nothing, and
``sums / counts`` is each pair's mean product over the samples that both can be believed at.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from brainforge.errors import KernelInputError

TILE = 16_384

Floats = npt.NDArray[np.float64]


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


def gram(
    data: npt.NDArray[np.float32],
    good: npt.NDArray[np.bool_] | None = None,
    *,
    remove_mean: bool = False,
    tile: int = TILE,
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
    if data.ndim != 2 or data.dtype != np.float32:
        raise KernelInputError(
            where="data",
            expected="float32, channels x samples",
            got=f"{data.dtype} of shape {data.shape}",
        )
    if good is not None and good.shape != data.shape:
        raise KernelInputError(where="good", expected=f"shape {data.shape}", got=f"{good.shape}")
    if tile < 1:
        raise KernelInputError(where="tile", expected="at least 1 sample", got=str(tile))
    n, n_samples = data.shape
    if good is not None and good.all():
        good = None
    means = _means(data, good) if remove_mean else None
    sums = np.zeros((n, n))
    for at in range(0, n_samples, tile):
        part = np.ascontiguousarray(data[:, at : at + tile])
        if means is not None:
            part = part - means
        if good is not None:
            part = np.where(good[:, at : at + tile], part, np.float32(0))
        sums += part @ part.T
    return Gram(sums, _counts(n, n_samples, good))


def _means(
    data: npt.NDArray[np.float32], good: npt.NDArray[np.bool_] | None
) -> npt.NDArray[np.float32]:
    if good is None:
        good = np.ones((1, 1), dtype=bool)
    n_good = np.broadcast_to(good, data.shape).sum(axis=1, keepdims=True)
    totals = np.sum(data, axis=1, keepdims=True, where=good, dtype=np.float64)
    return np.divide(totals, n_good, out=np.zeros_like(totals), where=n_good > 0).astype(np.float32)


def _counts(n: int, n_samples: int, good: npt.NDArray[np.bool_] | None) -> Floats:
    """Count jointly believed samples; only channels with masks cost a product."""
    counts = np.full((n, n), float(n_samples))
    if good is None:
        return counts
    per_channel = good.sum(axis=1).astype(np.float64)
    counts = np.minimum(per_channel[:, None], per_channel[None, :])
    masked = np.flatnonzero(per_channel < n_samples)
    for at in range(0, n_samples, TILE):
        # counts up to the tile's length are exact in float32
        part = good[masked, at : at + TILE].astype(np.float32)
        if at == 0:
            counts[np.ix_(masked, masked)] = 0.0
        counts[np.ix_(masked, masked)] += part @ part.T
    return counts
