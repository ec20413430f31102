"""Plain float64 orthogonalised envelope correlation and band-limited analytic signal."""

from __future__ import annotations

import numpy as np


def analytic(epoch, taper, sfreq, band, flank):
    """Return the analytic signal of a band at every sample, edges included."""
    x = np.asarray(epoch, dtype=np.float64)
    x = np.where(np.ptp(x, axis=-1, keepdims=True) == 0, 0.0, x - x.mean(-1, keepdims=True))
    n = x.shape[-1]
    freqs = np.fft.fftfreq(n, 1 / sfreq)
    outside = np.maximum(band[0] - freqs, freqs - band[1]) / flank + 0.5
    gain = 2 * np.cos(np.pi / 2 * np.clip(outside, 0, 1)) ** 2
    return np.fft.ifft(np.fft.fft(x * taper, axis=-1) * gain, axis=-1)


def envelope_correlation(z, absolute=False):
    """Return the symmetrised correlation of all pairs i < j, in order of triu_indices."""
    z = np.asarray(z, dtype=np.complex128)
    out = []
    for i in range(len(z)):
        for j in range(i + 1, len(z)):
            pair = []
            for a, b in ((z[i], z[j]), (z[j], z[i])):
                size = np.abs(b)
                unit = np.divide(b, size, out=np.zeros_like(b), where=size > 0)
                left = np.abs((a * unit.conj()).imag)
                left, size = left - left.mean(), size - size.mean()
                norm = np.linalg.norm(left) * np.linalg.norm(size)
                r = left @ size / norm if norm > 0 else 0.0
                pair.append(abs(r) if absolute else r)
            out.append(np.mean(pair))
    return np.array(out)
