"""Locked power and phases: locked and free traces, runs with a gap, too few events."""

from __future__ import annotations

import numpy as np

from brainforge.kernels.event_locked import locked_share, phase_statistics
from tests.kernels.conformance.harness import Case
from tests.reference import event_locked as reference

SFREQ = 100.0


def _inputs(rng, size):
    n = 2_000
    x = rng.standard_normal((size, n)).astype("float32")
    events = np.sort(rng.choice(np.arange(150, n - 150), 4 + 3 * size, replace=False))
    t = np.arange(-20, 21) / SFREQ
    for event in events:
        x[::2, event - 20 : event + 21] += 3 * np.cos(2 * np.pi * 14 * t) * np.hanning(41)
    runs = np.array([[0, 900], [950, n]]) if size % 2 else None
    return (x, events if size != 2 else events[:1], SFREQ), {"runs": runs}


def _shares(rng, size):
    (x, events, sfreq), kwargs = _inputs(rng, size)
    return (x, events, sfreq, (0.0, 20.0), (-0.2, 0.3)), kwargs


CASES = [
    Case("event_locked.phase_statistics", phase_statistics, reference.phase_statistics, _inputs,
         sizes=(0, 1, 2, 7), tolerance=1e-4, transfers=1),
    Case("event_locked.locked_share", locked_share, reference.locked_share, _shares,
         sizes=(0, 1, 2, 7), tolerance=1e-5, transfers=1),
]  # fmt: skip
