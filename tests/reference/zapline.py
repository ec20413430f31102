"""ZapLine in float64, step by step as in the paper: whole spectra, full decompositions."""

from __future__ import annotations

import numpy as np
import scipy.linalg


def residual(x, period):
    """Return x less a centred mean over ``period`` samples (ends: over what there is)."""
    half = int((period - 1) // 2)
    rest = (period - 2 * half - 1) / 2
    kernel = np.concatenate([[rest], np.ones(2 * half + 1), [rest]])
    out = np.empty(x.shape)
    for row, target in zip(np.asarray(x, np.float64), out):
        total = np.convolve(row, kernel)[half + 1 : half + 1 + len(row)]
        weight = np.convolve(np.ones(len(row)), kernel)[half + 1 : half + 1 + len(row)]
        target[:] = row - total / weight
    return out


def zapline(x, sfreq, line_freq, n_remove, half_width=0.5):
    """Return the cleaned window and the scores of all components."""
    n = x.shape[1]
    rest = residual(x, sfreq / line_freq)
    weighted = rest * np.sin(np.pi * (np.arange(n) + 0.5) / n) ** 2
    spectrum = np.fft.rfft(weighted, axis=1)
    freqs = np.fft.rfftfreq(n, 1 / sfreq)
    harmonics = line_freq * np.arange(1, int(np.ceil(sfreq / 2 / line_freq)))
    near = np.abs(freqs[:, None] - harmonics)
    chosen = (near <= half_width).any(axis=1)
    chosen[near.argmin(axis=0)] = True
    line = np.fft.irfft(np.where(chosen, spectrum, 0), n, axis=1)
    scores, filters = scipy.linalg.eigh(line @ line.T, weighted @ weighted.T)
    best = filters[:, ::-1][:, :n_remove]
    sources = best.T @ rest
    seen = best.T @ weighted
    weights = np.linalg.lstsq(seen.T, weighted.T, rcond=None)[0]
    return x - weights.T @ sources, scores[::-1]
