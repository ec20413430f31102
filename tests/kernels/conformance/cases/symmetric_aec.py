"""Symmetric orthogonalisation: products, the matrix applied, plain envelope correlation, all."""

from __future__ import annotations

import numpy as np

from brainforge.kernels.connectivity.symmetric_aec import (
    Orthogonaliser,
    envelope_pairs,
    orthogonalised,
    signal_products,
    symmetric_envelope_correlation,
)
from tests.kernels.conformance.harness import Case
from tests.reference import symmetric_aec as reference

MODULE = "connectivity.symmetric_aec"


def _signal(rng, size):
    z = rng.standard_normal((size, 11 * size + 3, 2)) @ np.array([1, 1j])
    if size > 1:
        z[1:] += 0.4 * z[:1]
    return (z.astype("complex64") if size % 2 else z.real.astype("float32"),), {}


def _products(z):
    z = z.astype(complex)
    return (z @ z.conj().T).real


def _applied(rng, size):
    (z,), _ = _signal(rng, size)
    return (z, Orthogonaliser(rng.standard_normal((size, size)), 1, True, 0.0)), {}


def _orthogonalised(z, found):
    return found.matrix @ z.astype(complex if np.iscomplexobj(z) else float)


def _envelopes(rng, size):
    (z,), _ = _signal(rng, 2 * size + 1)
    if size > 2:
        z[1], z[2] = 0, 3
    return (z,), {}


def _pairs(z):
    size = np.abs(z.astype(complex))
    off = size - size.mean(axis=1, keepdims=True)
    spread = np.sqrt((off**2).sum(axis=1))
    off = off / np.where(spread > 1e-12, spread, np.inf)[:, None]
    return (off @ off.T)[np.triu_indices(len(z), 1)]


def _whole(rng, size):
    z = rng.standard_normal((size, 9 * size + 3, 2)) @ np.array([1, 1j])
    if size > 1:
        z[1:] += 0.4 * z[:1]
    return (z.astype("complex64"),), {"tolerance": 1e-12}


def _correlations(z, tolerance):
    return symmetric_envelope_correlation(z, tolerance=tolerance)[0]


def _plain(z, tolerance):
    return reference.envelope_correlation(z) if len(z) else np.zeros(0)


CASES = [
    Case(f"{MODULE}.signal_products", signal_products, _products, _signal),
    Case(f"{MODULE}.orthogonalised", orthogonalised, _orthogonalised, _applied, tolerance=2e-6),
    Case(f"{MODULE}.envelope_pairs", envelope_pairs, _pairs, _envelopes,
         tolerance=2e-6, absolute=True),
    # the whole: only the products come home
    Case(f"{MODULE}.envelope_pairs", _correlations, _plain, _whole, sizes=(0, 1, 2, 9),
         tolerance=2e-6, absolute=True, transfers=1),
]  # fmt: skip
