"""Multitaper sums: odd and even segments, masks."""

from __future__ import annotations

from brainforge.kernels.multitaper_psd import MultitaperPlan, multitaper_sums
from tests.kernels.conformance.harness import Case
from tests.reference import multitaper_psd as reference


def _inputs(rng, size):
    plan = MultitaperPlan(100.0, 20 + size, 9, 3.0, 4)
    x = (3 + rng.standard_normal((size, 60 + 5 * size))).astype("float32")
    return (x, plan, rng.random(x.shape) > 0.002), {}


def _reference(x, plan, good):
    return reference.multitaper_sums(
        x, plan.sfreq, plan.n_per_seg, plan.step, plan.half_bandwidth, plan.n_tapers, good
    )


CASES = [
    Case("multitaper_psd.multitaper_sums", multitaper_sums, _reference, _inputs, tolerance=2e-6)
]
