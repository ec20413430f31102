"""Spectra and analytic signals of epochs: odd and even lengths, flat channels, several epochs."""

from __future__ import annotations

import numpy as np

from brainforge.kernels.connectivity.envelope import (
    analytic,
    band_window,
    edge_taper,
    epoch_spectrum,
)
from tests.kernels.conformance.harness import Case

SFREQ = 50.0


def _epoch(rng, size):
    x = (200 + 3 * rng.standard_normal((size, 180 + size))).astype("float32")
    if size > 2:
        x[1] = 3.3
    if size % 2:
        x = np.stack([x, 2 * x])
    return (x, edge_taper(180 + size, SFREQ)), {"n_bins": 40 if size > 7 else None}


def _spectrum(x, taper, n_bins=None):
    x = x.astype(np.float64)
    centred = np.where(np.ptp(x, axis=-1, keepdims=True) == 0, 0, x - x.mean(-1, keepdims=True))
    return np.fft.rfft(centred * taper, axis=-1)[..., :n_bins]


def _bins(rng, size):
    shape = (size, 91 + size // 2, 2)
    spectrum = (rng.standard_normal(shape) @ np.array([1, 1j])).astype("complex64")
    window = band_window(
        180 + size, SFREQ, (8.0, 13.0), edge=0.5, oversampling=None if size % 2 else 4.0
    )
    return (spectrum[None] if size == 2 else spectrum, window), {}


def _analytic(spectrum, window):
    cut = spectrum[..., window.first_bin : window.first_bin + len(window.weights)]
    padded = np.zeros((*spectrum.shape[:-1], window.n_points), complex)
    padded[..., : cut.shape[-1]] = cut * window.weights.astype(float)
    whole = np.fft.ifft(padded, axis=-1) * window.n_points / window.n_times
    return whole[..., window.keep]


CASES = [
    Case("connectivity.envelope.epoch_spectrum", epoch_spectrum, _spectrum, _epoch, tolerance=2e-6),
    Case("connectivity.envelope.analytic", analytic, _analytic, _bins, tolerance=2e-6),
]
