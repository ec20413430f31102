"""Overlap-save over several blocks, beside a drift far above the signal."""

from __future__ import annotations

import numpy as np

from brainforge.kernels.fir_design import design_fir
from brainforge.kernels.overlap_save import FirPlan, overlap_save
from tests.kernels.conformance.harness import Case
from tests.reference import fir


def _inputs(rng, size):
    taps = design_fir(250.0, 5.0, 60.0, l_trans=5.0, h_trans=20.0)
    plan = FirPlan(taps, 300 + size)
    x = rng.standard_normal((size, len(taps) - 1 + 37 * size)).astype(np.float32)
    x += np.linspace(0, 20, x.shape[1], dtype=np.float32)
    return (x, plan), {}


def _reference(x, plan):
    return fir.convolve_valid(x, plan.taps)


CASES = [Case("overlap_save.overlap_save", overlap_save, _reference, _inputs, tolerance=2e-6)]
