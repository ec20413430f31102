"""Welch sums: segments of odd and even length, masks, channels of any number."""

from __future__ import annotations

import numpy as np

from brainforge.kernels.psd import WelchPlan, folded, segment_power, welch_sums
from tests.kernels.conformance.harness import Case
from tests.reference import psd as reference


def _inputs(rng, size):
    plan = WelchPlan(100.0, 20 + size, 9, "hamming" if size % 2 else "hann")
    x = (3 + rng.standard_normal((size, 60 * (size > 0) + 5 * size))).astype("float32")
    good = rng.random(x.shape) > 0.002
    return (x, plan, good), {}


def _reference(x, plan, good):
    return reference.welch_sums(x, plan.sfreq, plan.n_per_seg, plan.step, plan.window, good)


def _across(rng, size):
    """Segments that begin in samples of an earlier block, of some rows, some left out."""
    plan = WelchPlan(100.0, 20 + size, 9)
    n_samples = 60 * (size > 0) + 5 * size
    x = (3 + rng.standard_normal((size, n_samples))).astype("float32")
    keep = rng.random((-(-size // 2), plan.n_segments(n_samples))) > 0.2
    cut = n_samples // 3
    return (x[:, cut:], plan, keep, np.arange(size)[::-2].copy(), cut, x[:, :cut]), {}


def _run_across(x, plan, keep, rows, cut, before):
    power = segment_power(x, plan, keep, rows=rows, first=-cut, before=before)
    return folded(
        segment_power(x, plan, keep, rows=rows, first=-cut, before=before, total=power), plan
    )


def _twice(x, plan, keep, rows, cut, before):
    whole = np.concatenate([before, x], axis=1)[rows]
    power = np.zeros((len(rows), len(plan.freqs)))
    for c, row in enumerate(whole):
        for s in np.flatnonzero(keep[c]):
            one = row[None, s * plan.step :][:, : plan.n_per_seg]
            power[c] += 2 * _reference(one, plan, np.ones(one.shape, bool))[0][0]
    return power


CASES = [
    Case("psd.welch_sums", welch_sums, _reference, _inputs, tolerance=2e-6),
    Case("psd.segment_power", _run_across, _twice, _across, data=(0, 5), tolerance=2e-6),
]
