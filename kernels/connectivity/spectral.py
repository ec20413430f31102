"""Spectral connectivity of an array of epochs: the kernels in one call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.errors import KernelInputError
from brainforge.kernels.connectivity.finish import check_methods, finish_bands, needed_sums
from brainforge.kernels.connectivity.fourier import band_bins, hann_taper, new_chunk, pack
from brainforge.kernels.connectivity.layout import GROUP
from brainforge.kernels.connectivity.multitaper import dpss_tapers
from brainforge.kernels.connectivity.sums import PairSums


def make_tapers(mode: str, n_times: int) -> npt.NDArray[np.float64]:
    """Return the tapers of mode "fourier" (one, Hann) or "multitaper" (seven, DPSS)."""
    if mode == "fourier":
        return hann_taper(n_times)
    if mode == "multitaper":
        return dpss_tapers(n_times)
    raise KernelInputError(where="mode", expected="fourier or multitaper", got=repr(mode))


def amplitude_scale(epochs: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return a power of two per channel that brings epochs to order one, axes (channel,)."""
    size = np.abs(epochs - epochs.mean(axis=-1, keepdims=True)).max(axis=(0, 2), initial=0.0)
    exponent = np.zeros(len(size), dtype=int)
    np.frexp(size, where=size > 0, out=(np.zeros_like(size, dtype=float), exponent))
    return np.ldexp(1.0, -exponent)


def spectral_connectivity(
    epochs: npt.NDArray[Any],
    sfreq: float,
    bands: Mapping[str, tuple[float, float]],
    methods: Sequence[str],
    *,
    mode: str = "fourier",
    n_threads: int = 1,
) -> dict[str, dict[str, npt.NDArray[Any]]]:
    """Return all-to-all connectivity, ``values[method][band]`` axes (channel, channel).

    Parameters
    ----------
    epochs : array, axes (epoch, channel, time)
        Any unit; each epoch's mean is removed, as mne-connectivity does.
    sfreq : float
        In Hz.
    bands : mapping of str to (low, high)
        In Hz; both edges belong to the band.
    methods : sequence of str
        Among `brainforge.kernels.connectivity.finish.METHODS`.
    mode : {"fourier", "multitaper"}
        One Hann window, or seven DPSS tapers.
    n_threads : int

    Raises
    ------
    KernelInputError
        For an unknown method or mode, a band without a bin, or an array of another shape or
        with values that are not finite.
    """
    if epochs.ndim != 3 or epochs.shape[2] < 1:
        raise KernelInputError(
            where="epochs", expected="epochs x channels x times", got=f"shape {epochs.shape}"
        )
    if not np.isfinite(epochs).all():
        raise KernelInputError(
            where="epochs", expected="finite samples", got="NaN or infinity", fix="mask them"
        )
    names = check_methods(methods)
    n_epochs, n_channels, n_times = epochs.shape
    tapers, grid = make_tapers(mode, n_times), band_bins(n_times, sfreq, bands)
    scale = amplitude_scale(epochs)
    chunk = new_chunk(len(grid.bins), n_channels, len(tapers), max(n_epochs, 1))
    for at in range(0, n_epochs, GROUP):
        group = epochs[at : at + GROUP] * scale[:, None]
        pack(group.astype(np.float32), tapers, grid.bins, chunk, at, n_threads=n_threads)
    sums = PairSums(len(grid.bins), n_channels, len(tapers), needed_sums(names))
    return finish_bands(sums, grid.of_band, names, [(chunk, n_epochs)], n_threads)
