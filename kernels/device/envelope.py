"""Device twin of `brainforge.kernels.connectivity.envelope`."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.kernels.connectivity.envelope import BandWindow, check_epoch
from brainforge.kernels.namespace import namespace, to_device


def epoch_spectrum(
    epoch: Any, taper: npt.NDArray[np.float32], n_threads: int = 1, n_bins: int | None = None
) -> Any:
    """Twin of `brainforge.kernels.connectivity.envelope.epoch_spectrum`; ``taper`` on the host."""
    check_epoch(epoch, taper)
    xp = namespace(epoch)
    kept = min(n_bins or len(taper), len(taper) // 2 + 1)
    if 0 in epoch.shape:
        shape = (*epoch.shape[:-1], kept)
        return xp.zeros(shape, dtype=xp.complex64, device=epoch.device)
    signal = xp.astype(epoch, xp.float32)
    # taken from its first sample, a flat channel is exactly zero
    moved = signal - signal[..., :1]
    centred = moved - xp.mean(moved, axis=-1, keepdims=True)
    return xp.fft.rfft(centred * to_device(taper, like=epoch), axis=-1)[..., :kept]


def analytic(spectrum: Any, window: BandWindow) -> Any:
    """Twin of `brainforge.kernels.connectivity.envelope.analytic`."""
    xp = namespace(spectrum)
    if 0 in spectrum.shape[:-1]:
        shape = (*spectrum.shape[:-1], window.n_kept)
        return xp.zeros(shape, dtype=xp.complex64, device=spectrum.device)
    weights = window.weights * np.float32(window.n_points / window.n_times)
    cut = spectrum[..., window.first_bin : window.n_bins] * to_device(weights, like=spectrum)
    signal = xp.fft.ifft(cut, n=window.n_points, axis=-1)
    return signal[..., window.keep]
