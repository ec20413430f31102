"""Simulated mixtures and the distance between two unmixings."""

from __future__ import annotations

import numpy as np


def amari(product):
    """Return the Amari distance of a matrix from a scaled permutation, 0..1."""
    p = np.abs(product)
    n = len(p)
    if n == 1:
        return 0.0
    rows = (p / p.max(axis=1, keepdims=True)).sum() - n
    columns = (p / p.max(axis=0, keepdims=True)).sum() - n
    return float((rows + columns) / (2 * n * (n - 1)))


def sources(n, n_samples, rng):
    """Return independent non-Gaussian sources: Laplace, uniform and Student's t in turn."""
    draw = [
        lambda: rng.laplace(size=n_samples),
        lambda: rng.uniform(-1, 1, size=n_samples),
        lambda: rng.standard_t(5, size=n_samples),
    ]
    return np.array([draw[i % 3]() for i in range(n)])


def whitened_mixture(n, n_samples, rng):
    """Return white float64 data and the matrix that mixed the sources into them."""
    s = sources(n, n_samples, rng)
    mixing = rng.normal(size=(n, n))
    x = mixing @ s
    x = x - x.mean(axis=1, keepdims=True)
    values, vectors = np.linalg.eigh(x @ x.T / n_samples)
    whitener = (vectors / np.sqrt(values)).T
    return whitener @ x, whitener @ mixing
