"""Decimation of every type of counts, by factors that divide nothing evenly."""

from __future__ import annotations

import numpy as np

from brainforge.kernels.decimate import decimate, polyphase
from tests.kernels.conformance.harness import Case
from tests.reference import fir


def _inputs(dtype):
    def draw(rng, size):
        k, n_taps = 1 + size % 5, 2 * (size % 9) + 3
        taps = rng.standard_normal(n_taps)
        n = n_taps + k * 3 * size + 7
        raw = (1000 * rng.standard_normal((size, n)) + 5000).astype(dtype)
        n_out = (n - n_taps - 2) // k + 1
        offset, scale = 5000 + 100 * rng.standard_normal(size), rng.standard_normal(size)
        return (raw, polyphase(taps, k), n_out), {"first": 2, "offset": offset, "scale": scale}

    return draw


def _reference(raw, phases, n_out, *, first, offset, scale):
    k = len(phases)
    taps = phases.T.reshape(-1)[::-1].astype(np.float64)
    # the zeros that pad the phases reach beyond the end of the rows
    padded = np.pad(raw.astype(np.float64), ((0, 0), (0, len(taps))))
    if raw.size:
        padded[:, raw.shape[1] :] = offset[:, None]
    return fir.decimate(padded, taps, k, n_out, first, offset, scale)


CASES = [
    Case("decimate.decimate", decimate, _reference, _inputs(dtype), sizes=(0, 1, 2, 7, 40))
    for dtype in ("int16", "int32", "float32", "float64")
]
