"""Cross-spectra of moving windows in float64: every window transformed whole."""

from __future__ import annotations

import numpy as np


def window_spectra(x, sfreq, start):
    """Return the one-sided spectra of a Hann-windowed window that starts at sample ``start``."""
    n = x.shape[1]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n)
    spectra = np.fft.rfft(window * x.astype(np.float64), axis=1)
    # the phase of the absolute grid
    spectra = spectra * np.exp(-2j * np.pi * np.arange(spectra.shape[1]) * start / n)
    return spectra * np.sqrt(2 / (sfreq * np.sum(window**2)))


def fading_csd(x, sfreq, hop, n_hops, bands, keep):
    """Return the mean over all windows with weights ``keep ** age``, (band, channel, channel)."""
    n = hop * n_hops
    freqs = np.arange(n // 2 + 1) * sfreq / n
    total, weight = np.zeros((len(bands), len(x), len(x)), complex), 0.0
    for stop in range(n, x.shape[1] + 1, hop):
        found = window_spectra(x[:, stop - n : stop], sfreq, stop - n)
        total, weight = keep * total, keep * weight + 1
        for b, (low, high) in enumerate(bands):
            some = found[:, (freqs >= low) & (freqs <= high)]
            total[b] += some @ some.conj().T
    return total / max(weight, 1e-30)


def coherence(csd):
    """Return |S_ij| / sqrt(S_ii S_jj) of the pairs i < j, axes (band, pair)."""
    first, second = np.triu_indices(csd.shape[1], 1)
    power = np.real(np.einsum("bii->bi", csd))
    return np.abs(csd[:, first, second]) / np.sqrt(power[:, first] * power[:, second])


def fading_wpli(x, sfreq, hop, n_hops, bands, keep):
    """Return the weighted phase-lag index of windows with weights ``keep ** age``."""
    n = hop * n_hops
    freqs = np.arange(n // 2 + 1) * sfreq / n
    first, second = np.triu_indices(len(x), 1)
    signed, size = np.zeros((2, len(bands), len(first)))
    for stop in range(n, x.shape[1] + 1, hop):
        found = window_spectra(x[:, stop - n : stop], sfreq, stop - n)
        for b, (low, high) in enumerate(bands):
            some = found[:, (freqs >= low) & (freqs <= high)]
            imag = (some @ some.conj().T).imag[first, second]
            signed[b], size[b] = keep * signed[b] + imag, keep * size[b] + np.abs(imag)
    return np.abs(signed) / size
