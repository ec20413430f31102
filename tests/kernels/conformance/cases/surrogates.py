"""Gathers of surrogates: rotated time, exchanged epochs, shuffled and turned spectra."""

from __future__ import annotations

import numpy as np

from brainforge.kernels.connectivity.shuffle import shuffled
from brainforge.kernels.surrogates import SCHEMES, draw_epochs, exchanged, rotated
from tests.kernels.conformance.harness import Case


def _signal(rng, size):
    x = rng.standard_normal((size, 5 * size + size % 2)).astype("float32")
    if size == 7:
        return (np.stack([x, 2 * x]), rng.integers(-50, 50, (2, size))), {}
    return (x, rng.integers(-50, 50, size)), {}


def _rolled(x, shifts):
    flat = x.reshape(-1, x.shape[-1]) if x.size else x
    return np.array([np.roll(r, s) for r, s in zip(flat, shifts.reshape(-1))]).reshape(x.shape)


def _epochs(rng, size):
    x = rng.standard_normal((size, size // 2, 9, 2)) @ np.array([1, 1j])
    order = rng.permuted(np.tile(np.arange(size), (size // 2, 1)), axis=1)
    return (x.astype("complex64"), order[:, : size - size // 3]), {}


def _exchanged(x, order):
    return x[order.T, np.arange(x.shape[1])[None, :]]


def _spectra(rng, size):
    scheme = SCHEMES[size % 4]
    blocks = -(-size // 16)
    chunk = rng.standard_normal((3, blocks, size + 2, 2 + 2 * (size % 2), 16)).astype("float32")
    return (chunk, draw_epochs(rng, scheme, size, size)), {}


def _shuffled(chunk, draw):
    out = np.zeros(chunk.shape)
    for c, (order, turn) in enumerate(zip(draw.order, draw.turn)):
        for e, (source, factor) in enumerate(zip(order, turn)):
            z = chunk[:, c // 16, source, :, c % 16].astype(float)
            turned = (z[:, 0::2] + 1j * z[:, 1::2]) * complex(factor)
            out[:, c // 16, e, 0::2, c % 16] = turned.real
            out[:, c // 16, e, 1::2, c % 16] = turned.imag
    return out


CASES = [
    Case("surrogates.rotated", rotated, _rolled, _signal, tolerance=0.0),
    Case("surrogates.exchanged", exchanged, _exchanged, _epochs, tolerance=0.0),
    Case("connectivity.shuffle.shuffled", shuffled, _shuffled, _spectra),
]
