"""Sums around events: rows in any order, no events, stretches at both ends."""

from __future__ import annotations

import numpy as np

from brainforge.kernels.event_sums import add_stretches
from brainforge.kernels.namespace import copied
from tests.kernels.conformance.harness import Case
from tests.reference.event_sums import add_stretches as reference


def _inputs(rng, size):
    n_samples, n_lags = 50 + 9 * size, 7 + 5 * size
    data = rng.standard_normal((size + 1, n_samples)).astype("float32")
    rows = rng.permutation(size + 1)[:size]
    begins = np.r_[0, rng.integers(0, n_samples - n_lags, 3 * size), n_samples - n_lags]
    begins = begins[: 3 * size]
    sums = rng.standard_normal((2, size, n_lags))
    return (data, rows, begins, np.arange(len(begins)) % 2, sums), {}


def _added(data, rows, begins, groups, sums):
    # what it adds to is of its own making
    return add_stretches(data, rows, begins, groups, copied(sums))


CASES = [Case("event_sums.add_stretches", _added, reference, _inputs, data=(0, 4))]
