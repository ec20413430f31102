"""Device twins of `brainforge.kernels.gram`: float32 products, float64 sums."""

from __future__ import annotations

from typing import Any

import numpy as np

from brainforge.kernels.device.constants import constant
from brainforge.kernels.gram import TILE, Gram, check_gram_input, check_masked, pair_counts
from brainforge.kernels.namespace import namespace, to_device
from brainforge.kernels.triangle import full, positions


def gram(data: Any, good: Any = None, *, remove_mean: bool = False, tile: int = TILE) -> Gram:
    """Twin of `brainforge.kernels.gram.gram`; ``good`` is a host array, so are the counts."""
    check_gram_input(data, good, tile)
    n, n_samples = data.shape
    good = np.ones((n, n_samples), dtype=bool) if good is None else np.asarray(good)
    rows = np.flatnonzero(~good.all(axis=1))
    counts = full(pair_counts(good[rows], rows, n), n)
    data = _believed(data, good[rows], rows)
    if remove_mean:
        per = to_device(1 / np.maximum(good.sum(axis=1), 1)[:, None], like=data)
        xp = namespace(data)
        means = xp.sum(data, axis=1, keepdims=True, dtype=xp.float64) * per
        data = _believed(data - xp.astype(means, xp.float32), good[rows], rows)
    return Gram(_products(data, tile), to_device(counts, like=data))


def gram_upper(data: Any, good: Any = None, rows: Any = None, *, tile: int = TILE) -> Any:
    """Twin of `brainforge.kernels.gram.gram_upper`; ``good`` and ``rows`` are host arrays."""
    check_gram_input(data, None, tile)
    if good is not None:
        rows = np.arange(data.shape[0]) if rows is None else rows
        check_masked(good, rows, data.shape)
        data = _believed(data, good, rows)
    xp = namespace(data)
    n = data.shape[0]
    at = constant(("triangle", n), lambda: positions(n), data)
    return xp.take(xp.reshape(_products(data, tile), (-1,)), at)


def _believed(data: Any, good: Any, rows: Any) -> Any:
    """Return the data with 0 where they are not to be believed; only masked rows travel."""
    if not len(rows):
        return data
    xp = namespace(data)
    # row 0 of the table is all good, the others are those of the masked channels
    table = to_device(np.concatenate([np.ones((1, good.shape[1]), bool), good]), like=data)
    which = np.zeros(data.shape[0], dtype=np.int64)
    which[rows] = 1 + np.arange(len(rows))
    keep = xp.take(table, to_device(which, like=data), axis=0)
    return xp.where(keep, data, xp.zeros_like(data))


def _products(data: Any, tile: int) -> Any:
    """Return sums of products, float64, axes (channel, channel)."""
    xp, n = namespace(data), data.shape[0]
    sums = xp.zeros((n, n), dtype=xp.float64, device=data.device)
    for at in range(0, data.shape[1], tile):
        part = data[:, at : min(at + tile, data.shape[1])]
        sums = sums + xp.astype(xp.matmul(part, xp.permute_dims(part, (1, 0))), xp.float64)
    return sums
