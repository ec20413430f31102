"""Biquads: any number of channels and sections, the state carried from one piece to the next."""

from __future__ import annotations

import numpy as np

from brainforge.kernels.iir import design_causal, sosfilt
from brainforge.kernels.namespace import contiguous, namespace
from tests.kernels.conformance.harness import Case
from tests.reference import iir as reference

SOS = design_causal(1000.0, 1.0, 100.0, notch=(50.0, 100.0, 150.0))


def _in_two(x, sos, state):
    """Filter in two pieces with a state of its own; return both and the state."""
    state = contiguous(state + 0.0)
    cut = x.shape[0] // 3
    parts = [sosfilt(part, sos, state) for part in (x[:cut, :], x[cut:, :])]
    return namespace(x).concat(parts, axis=0), state


def _inputs(dtype):
    def draw(rng, size):
        x = rng.standard_normal((7 * size, size)).astype(dtype)
        sections = min(size, len(SOS))
        return (x, SOS[:sections], np.zeros((sections, 2, size))), {}

    return draw


def _reference(x, sos, state):
    y = reference.sosfilt(x, sos)
    # the state from the last two samples that went into and came out of each section
    out, u = np.zeros(state.shape), np.asarray(x, np.float64)
    for s, (_, b1, b2, _, a1, a2) in enumerate(sos):
        v = reference.sosfilt(u, sos[s : s + 1])
        pad = np.zeros((2, x.shape[1]))
        p, q = np.concatenate([pad, u])[-2:], np.concatenate([pad, v])[-2:]
        out[s, 1] = b2 * p[1] - a2 * q[1]
        out[s, 0] = b1 * p[1] - a1 * q[1] + b2 * p[0] - a2 * q[0]
        u = v
    return y, out


CASES = [
    Case("iir.sosfilt", _in_two, _reference, _inputs("float32"), data=(0, 2)),
    Case("iir.sosfilt", _in_two, _reference, _inputs("float64"), data=(0, 2), tolerance=1e-9),
]
