"""Moments of sources: more samples than a tile, one source, with and without curvature."""

from __future__ import annotations

import numpy as np

from brainforge.kernels.ica_moments import Moments, source_moments
from tests.kernels.conformance.harness import Case
from tests.reference import picard as reference


def _inputs(curvature):
    def draw(rng, size):
        n_samples = 4_000 + 1_300 * size
        x = rng.laplace(size=(size, n_samples)).astype("float32")
        return (x, rng.normal(size=(size, size)) / np.sqrt(size)), {"curvature": curvature}

    return draw


def _reference(x, w, *, curvature):
    found = reference.moments(x, w.astype(np.float32).astype(np.float64))
    return Moments(*found[:3], found[3] if curvature else np.zeros_like(found[3]))


CASES = [
    Case(
        "ica_moments.source_moments", source_moments, _reference, _inputs(curvature),
        sizes=(1, 2, 7, 12), tolerance=5e-6, refused="no sources have no moments",
    )
    for curvature in (True, False)
]  # fmt: skip
