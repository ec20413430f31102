"""Short-time Fourier transforms: frames that overlap or leave samples out, masks."""

from __future__ import annotations

from brainforge.kernels.stft import StftPlan, stft
from tests.kernels.conformance.harness import Case
from tests.reference import stft as reference


def _inputs(rng, size):
    window = ("hann", "hamming", "boxcar")[size % 3]
    plan = StftPlan(100.0, 20 + size, 9 + size, window)
    x = rng.standard_normal((size, 60 * (size > 0) + 5 * size)).astype("float32")
    return (x, plan, rng.random(x.shape) > 0.003), {}


def _reference(x, plan, good):
    return reference.stft(x, plan.n_per_seg, plan.step, plan.window, good)


CASES = [Case("stft.stft", stft, _reference, _inputs, tolerance=2e-6)]
