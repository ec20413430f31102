"""Limited bands: low-pass, band-pass and high-pass, runs with gaps, a run of one sample."""

from __future__ import annotations

import numpy as np

from brainforge.kernels.band_limit import analytic_band, band_limit
from tests.kernels.conformance.harness import Case
from tests.reference import band_limit as reference

SFREQ = 100.0


def _inputs(low, high):
    def draw(rng, size):
        n = 6 + 23 * size
        x = (2 + rng.standard_normal((size, 2, n))).astype("float32")
        runs = np.array([[0, n // 3], [n // 3 + 1, n // 3 + 2], [n - n // 3, n]])
        return (x, SFREQ, low, high), {"runs": runs if size % 2 else None}

    return draw


def _whole(rng, size):
    x = rng.standard_normal((2, size, (4 + 31 * size) * (size > 0))).astype("float32")
    return (x, SFREQ, 8.0, 20.0), {}


CASES = [
    *(
        Case("band_limit.band_limit", band_limit, reference.band_limit, _inputs(low, high),
             tolerance=5e-6)
        for low, high in ((0.0, 12.0), (4.0, 20.0), (30.0, 80.0))
    ),
    Case("band_limit.analytic_band", analytic_band, reference.analytic_band, _whole,
         tolerance=5e-6),
]  # fmt: skip
