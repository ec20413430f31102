"""Plain float64 definitions of the Welch kernels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]


def _window(name: str, n: int) -> F64:
    a = {"hann": 0.5, "hamming": 0.54}[name]
    return a - (1 - a) * np.cos(2 * np.pi * np.arange(n) / n)


def _transform(segment: F64, sfreq: float, window: str) -> npt.NDArray[np.complex128]:
    n = segment.shape[-1]
    w = _window(window, n)
    centred = segment - segment.mean(axis=-1, keepdims=True)
    spectrum = np.fft.rfft(centred * w, axis=-1) / np.sqrt(sfreq * (w**2).sum())
    spectrum[..., 1:] *= np.sqrt(2)
    if n % 2 == 0:
        spectrum[..., -1] /= np.sqrt(2)
    return spectrum


def welch_sums(
    x: npt.NDArray[np.floating],
    sfreq: float,
    n_per_seg: int,
    step: int,
    window: str,
    good: npt.NDArray[np.bool_] | None = None,
) -> tuple[F64, npt.NDArray[np.int64]]:
    """Sum of one-sided periodograms of good segments, and their number, one by one."""
    x = x.astype(np.float64)
    power = np.zeros((len(x), n_per_seg // 2 + 1))
    count = np.zeros(len(x), dtype=np.int64)
    for c in range(len(x)):
        for begin in range(0, x.shape[1] - n_per_seg + 1, step):
            if good is None or good[c, begin : begin + n_per_seg].all():
                power[c] += np.abs(_transform(x[c, begin : begin + n_per_seg], sfreq, window)) ** 2
                count[c] += 1
    return power, count


def csd_sums(
    x: npt.NDArray[np.floating],
    sfreq: float,
    n_per_seg: int,
    step: int,
    window: str,
    good: npt.NDArray[np.bool_] | None = None,
) -> tuple[npt.NDArray[np.complex128], int]:
    """Sum of cross-periodograms, axes (frequency, channel, channel), segment by segment."""
    x = x.astype(np.float64)
    csd = np.zeros((n_per_seg // 2 + 1, len(x), len(x)), dtype=np.complex128)
    count = 0
    for begin in range(0, x.shape[1] - n_per_seg + 1, step):
        if good is None or good[:, begin : begin + n_per_seg].all():
            spectrum = _transform(x[:, begin : begin + n_per_seg], sfreq, window)
            csd += np.einsum("if,jf->fij", spectrum, spectrum.conj())
            count += 1
    return csd, count
