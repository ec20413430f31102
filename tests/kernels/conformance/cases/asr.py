"""ASR: what is taken off a window with an artifact, and taking it off along a raised cosine."""

from __future__ import annotations

import numpy as np

from brainforge.kernels.asr import AsrState, Removal, asr_assess, asr_remove
from brainforge.kernels.asr_fit import AsrModel
from brainforge.kernels.iir import sosfilt
from tests.kernels.conformance.harness import Case
from tests.reference import asr as reference

HOP, N_HOPS = 20, 5


def _model(rng, size):
    mix = rng.standard_normal((size, size)) + 2 * np.eye(size)
    variance, vectors = np.linalg.eigh(mix @ mix.T)
    shaping = np.array([[1.1, -0.9, 0.2, 1.0, -0.5, 0.1]])
    return AsrModel(
        vectors.T, np.ones(size), variance, 2 * np.sqrt(variance), 4.0, HOP * N_HOPS, size, shaping
    ), mix


def _window(rng, size):
    model, mix = _model(rng, size)
    x = mix @ rng.standard_normal((size, HOP * N_HOPS))
    x += 60 * np.outer(rng.standard_normal(size), np.sin(np.arange(x.shape[1]) / 7))
    return (x.astype("float32"), model), {}


def _taken_off(x, model):
    """Return the matrix of the last of five hops."""
    state = AsrState.empty(model, HOP)
    for at in range(0, HOP * N_HOPS, HOP):
        removal = asr_assess(state, model, x[:, at : at + HOP])
    return np.eye(len(removal.mixing)) - removal.mixing @ removal.unmixing


def _reference(x, model):
    shaped = sosfilt(x.T.astype(np.float64), model.shaping, np.zeros((1, 2, len(x)))).T
    return reference.reconstruction(shaped, model)


def _removal(rng, size, rank):
    rank = min(rank, size)
    return Removal(
        rng.standard_normal((size, rank)).astype("float32") / max(size, 1),
        rng.standard_normal((rank, size)).astype("float32"),
    )


def _hop(rng, size):
    x = rng.standard_normal((size, 3 * size + 1)).astype("float32")
    return (x, _removal(rng, size, size % 3), _removal(rng, size, 2)), {}


def _fade(x, before, after):
    rise = 0.5 - 0.5 * np.cos(np.pi * np.arange(1, x.shape[1] + 1) / x.shape[1])
    x = x.astype(np.float64)
    parts = [x - r.mixing.astype(np.float64) @ (r.unmixing @ x) for r in (before, after)]
    return (1 - rise) * parts[0] + rise * parts[1]


CASES = [
    Case(
        "asr.asr_assess",
        _taken_off,
        _reference,
        _window,
        tolerance=1e-3,
        transfers=N_HOPS,
        sizes=(1, 2, 7, 33),
        refused="a model of no channels cannot be learned",
    ),
    Case("asr.asr_remove", asr_remove, _fade, _hop, tolerance=2e-6),
]
