"""Windows of the muscle band from counts, at two rates."""

from __future__ import annotations

import numpy as np

from brainforge.kernels.muscle import PER_WINDOW, muscle_plan, window_amplitude
from tests.kernels.conformance.harness import Case
from tests.reference import muscle as reference


def _inputs(sfreq):
    def draw(rng, size):
        plan = muscle_plan(sfreq)
        n = plan.reach + size * plan.window + 5
        raw = (300 * rng.standard_normal((size, n)) + 100).astype(np.int16)
        return (raw, plan, size + 1), {"first": 3, "offset": np.full(size, 100.0), "scale": 0.5}

    return draw


def _reference(raw, plan, n_windows, *, first, offset, scale):
    x = (raw - offset[:, None]) * scale
    return reference.window_amplitude(x, plan.taps, plan.decim, PER_WINDOW, n_windows, first)


CASES = [
    Case("muscle.window_amplitude", window_amplitude, _reference, _inputs(sfreq),
         sizes=(0, 1, 2, 6), tolerance=2e-6)
    for sfreq in (1000.0, 600.0)
]  # fmt: skip
