"""Plain float64 definition of the muscle amplitude and its score."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]


def window_amplitude(
    raw: npt.NDArray[Any], taps: F64, decim: int, per_window: int, n_windows: int, first: int
) -> F64:
    """RMS over the kept outputs of each window."""
    out = np.zeros((len(raw), n_windows))
    for c, row in enumerate(raw.astype(np.float64)):
        filtered = np.convolve(row, taps, mode="valid")[first::decim]
        for w in range(n_windows):
            part = filtered[w * per_window : (w + 1) * per_window]
            out[c, w] = np.sqrt(np.mean(part**2))
    return out


def muscle_score(amplitude: F64) -> F64:
    """Summed z-scores of finite amplitudes, averaged over three windows."""
    z = (amplitude - amplitude.mean(axis=1, keepdims=True)) / amplitude.std(axis=1, keepdims=True)
    total = z.sum(axis=0) / np.sqrt(len(z))
    n = len(total)
    return np.array([total[max(i - 1, 0) : min(i + 2, n)].mean() for i in range(n)])
