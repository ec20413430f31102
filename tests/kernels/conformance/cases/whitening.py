"""Whitened components of a block, means taken off."""

from __future__ import annotations

import numpy as np

from brainforge.kernels.whitening import pca_whitening, whiten
from tests.kernels.conformance.harness import Case
from tests.reference.apply import apply_reference


def _inputs(rng, size):
    data = (rng.standard_normal((size, 9 * size)) + 2).astype("float32")
    mixing = np.eye(size) + 0.3 * rng.standard_normal((size, size))
    white = pca_whitening(mixing @ mixing.T, rank=max(size // 2, 1))
    return (white, data, data.mean(axis=1, dtype=float)), {}


def _reference(white, data, mean):
    return apply_reference(white.whitener, data - mean[:, None])


CASES = [
    Case(
        "whitening.whiten",
        whiten,
        _reference,
        _inputs,
        sizes=(1, 2, 7, 33),
        data=(1,),
        tolerance=2e-6,
        refused="a covariance of no channel has no whitening",
    )
]
