"""The short-time Fourier transform by its definition, in float64."""

from __future__ import annotations

import numpy as np


def stft(x, n_per_seg, step, window, good=None):
    """Frame by frame, frequency by frequency; a frame with a bad sample is NaN."""
    t = np.arange(n_per_seg)
    a = {"hann": 0.5, "hamming": 0.54, "boxcar": 1.0}[window]
    w = a - (1 - a) * np.cos(2 * np.pi * t / n_per_seg)
    basis = np.exp(-2j * np.pi * np.outer(np.arange(n_per_seg // 2 + 1), t) / n_per_seg)
    starts = range(0, x.shape[1] - n_per_seg + 1, step)
    out = np.full((len(x), len(starts), len(basis)), complex(np.nan, np.nan))
    for c in range(len(x)):
        for i, begin in enumerate(starts):
            part = slice(begin, begin + n_per_seg)
            if good is None or good[c, part].all():
                out[c, i] = basis @ (x[c, part].astype(np.float64) * w) / w.sum()
    return out
