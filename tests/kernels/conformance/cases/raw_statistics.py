"""Raw statistics of counts with flat runs, railed and non-finite samples, known rails."""

from __future__ import annotations

import numpy as np

from brainforge.kernels.raw_statistics import RawStatistics, raw_statistics
from tests.kernels.conformance.harness import Case
from tests.reference.raw_statistics import raw_statistics_reference


def _inputs(dtype):
    def draw(rng, size):
        n = 40 * size + 3
        data = np.round(200 * rng.standard_normal((size, n))).astype(dtype)
        for row in data:
            row[n // 3 : n // 3 + size] = row[n // 3]
        if dtype.startswith("float") and size > 1:
            data[0, [1, n - 1]] = np.nan, np.inf
        rails = np.full((size, 2), 300.0) * [-1, 1]
        return (data, rails), {}

    return draw


def _reference(data, rails):
    rows = [raw_statistics_reference(row, rail) for row, rail in zip(data, rails)]
    if not rows:
        return RawStatistics.empty(0)
    return RawStatistics(**{key: np.array([row[key] for row in rows]) for key in rows[0]})


CASES = [
    # the rows that may be railed come home, and those that are not finite
    Case("raw_statistics.raw_statistics", raw_statistics, _reference, _inputs(dtype),
         transfers=40, sizes=(0, 1, 2, 7, 19))
    for dtype in ("int16", "int32", "float32", "float64")
]  # fmt: skip
