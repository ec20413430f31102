"""ZapLine: the period's mean taken off, planted mains removed, units that differ."""

from __future__ import annotations

import numpy as np

from brainforge.kernels.zapline import line_residual, zapline
from tests.kernels.conformance.harness import Case
from tests.reference import zapline as reference

SFREQ, LINE = 250.0, 50.0


def _residual(rng, size):
    x = 3 + rng.standard_normal((size, 11 * size)).astype("float32")
    return (x, 5.0 if size % 2 else 250 / 60), {}


def _clean(x, n_remove):
    return zapline(x, SFREQ, LINE, n_remove=n_remove)[0]


def _window(rng, size):
    n = 500 + size
    t = np.arange(n) / SFREQ
    x = rng.standard_normal((size, n)) + 4 * np.outer(
        rng.standard_normal(size), np.sin(2 * np.pi * 50.1 * t)
    )
    return (x.astype("float32"), min(size, 2)), {}


def _reference(x, n_remove):
    return reference.zapline(x, SFREQ, LINE, n_remove)[0] if len(x) else x.astype(np.float64)


CASES = [
    Case("zapline.line_residual", line_residual, reference.residual, _residual, tolerance=2e-6),
    Case("zapline.zapline", _clean, _reference, _window, tolerance=1e-4, transfers=1),
]
