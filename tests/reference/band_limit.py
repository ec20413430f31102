"""Band limiting of mirrored runs, written out in float64 with a plain Fourier sum."""

from __future__ import annotations

import numpy as np
from scipy.fft import next_fast_len


def response(f, low, high):
    """Return the gain at a frequency: flat from low to high, raised cosines outside."""
    gain = 1.0
    if low > 0:
        gain *= np.sin(np.pi / 2 * min(max((f - low / 2) / (low / 2), 0), 1)) ** 2
    return gain * np.sin(np.pi / 2 * min(max((1.25 * high - f) / (high / 4), 0), 1)) ** 2


def _analytic(x, sfreq, low, high):
    n = x.shape[-1]
    pad = min(int(sfreq * (2 / low if low else 6 / high)) + 1, n - 1)
    mirrored = np.pad(x, [(0, 0)] * (x.ndim - 1) + [(pad, pad)], mode="reflect")
    length = next_fast_len(n + 2 * pad, real=True)
    spectrum = np.fft.fft(mirrored, length)
    freqs = np.fft.fftfreq(length, 1 / sfreq)
    gain = np.array([response(abs(f), low, high) for f in freqs])
    gain[freqs < 0] = 0
    gain[freqs > 0] *= 2
    if length % 2 == 0:
        gain[length // 2] = response(sfreq / 2, low, high)
    return np.fft.ifft(spectrum * gain)[..., pad : pad + n]


def band_limit(x, sfreq, low, high, *, runs=None):
    """Return the limited signal; 0 outside of the runs."""
    x = np.asarray(x, dtype=np.float64)
    out = np.zeros_like(x)
    for a, b in [(0, x.shape[-1])] if runs is None else runs:
        if b > a and x.size:
            part = x[..., a:b]
            mean = part.mean(axis=-1, keepdims=True)
            out[..., a:b] = _analytic(part - mean, sfreq, low, high).real + mean * (low == 0)
    return out


def analytic_band(x, sfreq, low, high):
    """Return the limited signal with its Hilbert transform as imaginary part."""
    x = np.asarray(x, dtype=np.float64)
    if not x.size:
        return x.astype(np.complex128)
    return _analytic(x - x.mean(axis=-1, keepdims=True), sfreq, low, high)
