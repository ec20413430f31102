"""Orthogonalised envelope correlation: one epoch and several, flat channels."""

from __future__ import annotations

import numpy as np

from brainforge.kernels.connectivity.aec import envelope_correlation
from tests.kernels.conformance.harness import Case
from tests.reference import aec as reference


def _epoch(rng, size):
    z = rng.standard_normal((size, 17 * size + 3, 2)) @ np.array([1.0, 1.0j])
    z = 1e-13 * (z + 0.5 * np.roll(z, 1, axis=0))
    if size > 6:
        z[2] = 0
    return (z.astype("complex64"),), {"absolute": bool(size % 2)}


def _epochs(rng, size):
    # more samples than go into one float32 sum, more channels than a tile
    shape = (size % 3, 4 * size, 290 if size == 9 else 31)
    z = rng.standard_normal((*shape, 2)) @ np.array([1.0, 1.0j])
    return (z.astype("complex64"),), {}


def _many(z, absolute=False):
    n = z.shape[1]
    out = [reference.envelope_correlation(epoch, absolute) for epoch in z]
    return np.array(out).reshape(len(z), n * (n - 1) // 2)


CASES = [
    Case("connectivity.aec.envelope_correlation", envelope_correlation,
         reference.envelope_correlation, _epoch, tolerance=5e-6, absolute=True),
    Case("connectivity.aec.envelope_correlation", envelope_correlation, _many, _epochs,
         sizes=(0, 1, 2, 9, 10), tolerance=5e-6, absolute=True),
]  # fmt: skip
