"""One matrix over all channels, dense or identity plus low rank; matrices come from the host."""

from __future__ import annotations

import numpy as np

from brainforge.kernels.apply import LowRank, apply_low_rank, apply_matrix
from tests.kernels.conformance.harness import Case
from tests.reference.apply import apply_reference


def _dense(rng, size):
    data = rng.standard_normal((size, 5 * size + 3)).astype("float32")
    return (rng.standard_normal((size // 2 + 1, size)), data), {}


def _update(rng, size):
    data = rng.standard_normal((size, 5 * size + 3)).astype("float32")
    left, right = (rng.standard_normal(s).astype("float32") for s in ((size, 2), (2, size)))
    return (LowRank(left, right), data), {}


def _low_rank(update, data):
    matrix = update.left.astype(np.float64) @ update.right
    return apply_reference(matrix + np.eye(len(data)), data)


CASES = [
    Case("apply.apply_matrix", apply_matrix, apply_reference, _dense, data=(1,), tolerance=2e-6),
    Case("apply.apply_low_rank", apply_low_rank, _low_rank, _update, data=(1,), tolerance=2e-6),
]
