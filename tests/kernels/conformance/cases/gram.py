"""Gram matrices: whole ones, and packed triangles with the masks of a few rows."""

from __future__ import annotations

import numpy as np

from brainforge.kernels.gram import gram, gram_upper
from tests.kernels.conformance.harness import Case
from tests.reference.gram import gram_reference


def _inputs(rng, size):
    data = (rng.standard_normal((size, 9 * size)) + 1).astype("float32")
    good = rng.random(data.shape) > 0.1
    good[::2] = True
    data[~good] = np.nan
    return (data, good), {"remove_mean": bool(size % 2), "tile": 50}


def _reference(data, good, *, remove_mean, tile):
    sums, counts = gram_reference(data, good, remove_mean=remove_mean)
    return {"sums": sums, "counts": counts}


def _rows(rng, size):
    (data, good), _ = _inputs(rng, size)
    rows = np.flatnonzero(~good.all(axis=1))
    return (data, good[rows], rows), {"tile": 50}


def _upper(data, good, rows, *, tile):
    believed = np.ones(data.shape, bool)
    believed[rows] = good
    return gram_reference(data, believed)[0][np.triu_indices(len(data))]


CASES = [
    Case("gram.gram", gram, _reference, _inputs),
    Case("gram.gram_upper", gram_upper, _upper, _rows),
]
