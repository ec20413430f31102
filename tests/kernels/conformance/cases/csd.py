"""Cross-spectral densities: masks, a range of frequencies."""

from __future__ import annotations

from brainforge.kernels.csd import csd_sums
from brainforge.kernels.psd import WelchPlan
from tests.kernels.conformance.harness import Case
from tests.reference import psd as reference


def _inputs(rng, size):
    plan = WelchPlan(100.0, 20 + size, 9, "hamming" if size % 2 else "hann")
    x = (3 + rng.standard_normal((size, 60 * (size > 0) + 5 * size))).astype("float32")
    good = rng.random(x.shape) > 0.001
    return (x, plan, good), {"fmin": 10.0, "fmax": 30.0}


def _reference(x, plan, good, *, fmin, fmax):
    args = plan.sfreq, plan.n_per_seg, plan.step, plan.window, good
    csd, count = reference.csd_sums(x, *args)
    picked = (plan.freqs >= fmin) & (plan.freqs <= fmax)
    return csd[picked], count if len(x) else 0


CASES = [Case("csd.csd_sums", csd_sums, _reference, _inputs, tolerance=2e-6)]
