"""Device twin of `brainforge.kernels.covariance`."""

from __future__ import annotations

from typing import Any

import numpy as np

from brainforge.kernels.covariance import Moments
from brainforge.kernels.gram import TILE, check_gram_input
from brainforge.kernels.namespace import namespace, to_device


def moments(data: Any, good: Any = None, *, tile: int = TILE) -> Moments:
    """Twin of `brainforge.kernels.covariance.moments`; ``good`` is a host array."""
    xp = namespace(data)
    check_gram_input(data, good, tile)
    n, n_samples = data.shape
    good = np.ones((n, n_samples), dtype=bool) if good is None else np.asarray(good)
    believed = to_device(good, like=data)
    data = xp.where(believed, data, xp.zeros_like(data))
    per = to_device(1 / np.maximum(good.sum(axis=1), 1)[:, None], like=data)
    centre = xp.astype(xp.sum(data, axis=1, keepdims=True, dtype=xp.float64) * per, xp.float32)
    data = xp.where(believed, data - centre, xp.zeros_like(data))
    ones = xp.astype(believed, xp.float32)
    sums, totals, counts = (
        xp.zeros((n, n), dtype=xp.float64, device=data.device) for _ in range(3)
    )
    for at in range(0, n_samples, tile):
        some = slice(at, min(at + tile, n_samples))
        part, here = data[:, some], ones[:, some]
        sums = sums + _products(part, part)
        totals = totals + _products(part, here)
        counts = counts + _products(here, here)
    return Moments(sums, totals, counts, xp.astype(centre[:, 0], xp.float64))


def _products(a: Any, b: Any) -> Any:
    xp = namespace(a)
    return xp.astype(xp.matmul(a, xp.permute_dims(b, (1, 0))), xp.float64)
