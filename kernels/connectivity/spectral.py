"""Spectral connectivity of an array of epochs: the kernels in one call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from brainforge.errors import KernelInputError
from brainforge.kernels.connectivity.finish import (
    OF_EPOCH_PAIRS,
    check_methods,
    finish_bands,
    needed_sums,
)
from brainforge.kernels.connectivity.fourier import band_bins, hann_taper, new_chunk, pack
from brainforge.kernels.connectivity.multitaper import dpss_tapers
from brainforge.kernels.connectivity.sums import PairSums

#: epochs of a chunk for one taper: the sums of each go to float64, which costs like ten epochs
CHUNK_EPOCHS: Final = 304


def chunk_epochs(n_tapers: int) -> int:
    """Return how many epochs a chunk holds, so that a bin of it fits the second-level cache."""
    return max(CHUNK_EPOCHS // n_tapers, 1)


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
        For an unknown method or mode, a band without a bin or above the Nyquist frequency, an
        array of another shape or dtype or with values that are not finite, and for fewer than
        two epochs where a measure compares epochs.
    """
    names = check_methods(methods)
    _check_epochs(epochs, names)
    n_epochs, n_channels, n_times = epochs.shape
    tapers, grid = make_tapers(mode, n_times), band_bins(n_times, sfreq, bands)
    scale = amplitude_scale(epochs)
    capacity = min(chunk_epochs(len(tapers)), max(n_epochs, 1))
    chunk = new_chunk(len(grid.bins), n_channels, len(tapers), capacity)
    sums = PairSums(len(grid.bins), n_channels, len(tapers), needed_sums(names))
    for at in range(0, n_epochs, capacity):
        some = (epochs[at : at + capacity] * scale[:, None]).astype(np.float32)
        pack(chunk, 0, some, tapers, grid.bins, n_threads=n_threads)
        sums.add(chunk, len(some), n_threads)
    return finish_bands(sums, grid.of_band, names, n_threads=n_threads)


def _check_epochs(epochs: npt.NDArray[Any], methods: Sequence[str]) -> None:
    if epochs.ndim != 3 or epochs.shape[2] < 1 or epochs.dtype.kind not in "fiu":
        raise KernelInputError(
            where="epochs",
            expected="real numbers, epochs x channels x times",
            got=f"{epochs.dtype} of shape {epochs.shape}",
        )
    if not np.isfinite(epochs).all():
        raise KernelInputError(
            where="epochs", expected="finite samples", got="NaN or infinity", fix="mask them"
        )
    few = [name for name in methods if name in OF_EPOCH_PAIRS]
    if few and len(epochs) < 2:
        raise KernelInputError(
            where="epochs",
            expected=f"at least two for {', '.join(few)}",
            got=str(len(epochs)),
            fix="take shorter epochs or a measure that compares none",
        )
