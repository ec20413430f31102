"""Welch sums: segments of odd and even length, masks, channels of any number."""

from __future__ import annotations

from brainforge.kernels.psd import WelchPlan, welch_sums
from tests.kernels.conformance.harness import Case
from tests.reference import psd as reference


def _inputs(rng, size):
    plan = WelchPlan(100.0, 20 + size, 9, "hamming" if size % 2 else "hann")
    x = (3 + rng.standard_normal((size, 60 * (size > 0) + 5 * size))).astype("float32")
    good = rng.random(x.shape) > 0.002
    return (x, plan, good), {}


def _reference(x, plan, good):
    return reference.welch_sums(x, plan.sfreq, plan.n_per_seg, plan.step, plan.window, good)


CASES = [Case("psd.welch_sums", welch_sums, _reference, _inputs, tolerance=2e-6)]
