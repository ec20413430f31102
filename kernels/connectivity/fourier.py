"""Epochs to packed spectra: mean off, taper, FFT, and only the bins that the bands need.

The packed chunk has axes (frequency, channel, row, epoch), row 2k the real and 2k + 1 the
imaginary part under taper k. Epochs lie innermost because the pair kernels run along them, and
they are written sixteen at a time because sixteen fill a cache line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.errors import KernelInputError
from brainforge.kernels.connectivity.layout import GROUP, aligned, whole_groups
from brainforge.kernels.jit import lazy_jit
from brainforge.kernels.parallel import parallel_map, slices

#: channels transformed at a time: sixteen epochs of them stay in the second-level cache
_CHANNELS = 16


@dataclass(frozen=True)
class BandBins:
    """Which FFT bins the bands need.

    ``bins`` are the indices into an rfft of ``n_times`` samples, each once and ascending;
    ``freqs`` the same in Hz; ``of_band[name]`` positions within ``bins``.
    """

    n_times: int
    bins: npt.NDArray[np.intp]
    freqs: npt.NDArray[np.float64]
    of_band: dict[str, npt.NDArray[np.intp]]


def band_bins(n_times: int, sfreq: float, bands: Mapping[str, tuple[float, float]]) -> BandBins:
    """Return the FFT bins inside the bands, both edges included as in mne-connectivity.

    Parameters
    ----------
    n_times : int
        Samples per epoch.
    sfreq : float
        In Hz.
    bands : mapping of str to (low, high)
        In Hz.

    Raises
    ------
    KernelInputError
        Where a band holds no bin.
    """
    freqs = np.fft.rfftfreq(n_times, 1.0 / sfreq)
    inside = {name: (freqs >= low) & (freqs <= high) for name, (low, high) in bands.items()}
    for name, chosen in inside.items():
        if not chosen.any():
            raise KernelInputError(
                where=f"band {name}",
                expected=f"an FFT bin inside it (they lie {sfreq / n_times:.3g} Hz apart)",
                got=f"{bands[name][0]:g}-{bands[name][1]:g} Hz at {sfreq:g} Hz",
                fix="widen the band or take longer epochs",
            )
    used = np.flatnonzero(np.any(list(inside.values()), axis=0)) if inside else np.zeros(0, int)
    of_band = {name: np.searchsorted(used, np.flatnonzero(c)) for name, c in inside.items()}
    return BandBins(n_times, used.astype(np.intp), freqs[used], of_band)


def hann_taper(n_times: int) -> npt.NDArray[np.float64]:
    """Return the symmetric Hann window of mne-connectivity's mode "fourier", axes (1, time).

    It is divided by its sum, so that a spectrum is of the order of the signal's amplitude.
    """
    window = np.hanning(n_times)
    return (window / max(window.sum(), np.finfo(float).tiny))[None]


def new_chunk(
    n_bins: int, n_channels: int, n_tapers: int, n_epochs: int
) -> npt.NDArray[np.float32]:
    """Return an empty packed chunk for ``n_epochs`` epochs, rounded up to whole groups."""
    return aligned((n_bins, n_channels, 2 * n_tapers, whole_groups(n_epochs)))


@lazy_jit(["void(float32[:, :, ::1], int64, float32[:, ::1], float32[::1], float32[:, :, :, ::1])"])
def _taper(epochs: Any, first: Any, tapers: Any, scale: Any, out: Any) -> None:
    """Fill out (channel, epoch, taper, time) from epochs (epoch, channel, time)."""
    n_channels, n_tapers, n_times = out.shape[0], out.shape[2], out.shape[3]
    for c in range(n_channels):
        for e in range(epochs.shape[0]):
            x = epochs[e, first + c]
            total, moved = np.float32(0), np.float32(0)
            for t in range(n_times):
                total += x[t]
                moved += abs(x[t] - x[0])
            mean = total / np.float32(n_times)
            # a flat epoch has no phase: rounding of its mean must not give it one
            gain = scale[first + c] if moved > np.float32(0) else np.float32(0)
            for k in range(n_tapers):
                y, w = out[c, e, k], tapers[k]
                for t in range(n_times):
                    y[t] = (x[t] - mean) * (w[t] * gain)


def demean(
    epoch: npt.NDArray[Any], taper: npt.NDArray[np.floating[Any]]
) -> npt.NDArray[np.float32]:
    """Return an epoch without its mean, tapered; a flat channel becomes exactly zero.

    Parameters
    ----------
    epoch : array, axes (channel, time)
    taper : array, axes (time,)
    """
    out = np.empty((len(epoch), 1, 1, epoch.shape[1]), dtype=np.float32)
    signal = np.ascontiguousarray(epoch, dtype=np.float32)[None]
    window = np.ascontiguousarray(taper, dtype=np.float32)[None]
    _taper(signal, 0, window, np.ones(len(epoch), dtype=np.float32), out)
    return out[:, 0, 0]


@lazy_jit(["void(float32[:, :, :, :, ::1], int64[::1], int64, int64, float32[:, :, :, ::1])"])
def _scatter(spectra: Any, bins: Any, first: Any, at: Any, chunk: Any) -> None:
    """Copy spectra (channel, epoch, taper, frequency, re/im) to a group of a chunk."""
    n_channels, n_epochs, n_tapers = spectra.shape[0], spectra.shape[1], spectra.shape[2]
    for c in range(n_channels):
        for k in range(n_tapers):
            for f in range(bins.shape[0]):
                b = bins[f]
                real = chunk[f, first + c, 2 * k, at : at + 16]
                imag = chunk[f, first + c, 2 * k + 1, at : at + 16]
                for e in range(n_epochs):
                    real[e] = spectra[c, e, k, b, 0]
                    imag[e] = spectra[c, e, k, b, 1]
                for e in range(n_epochs, 16):
                    real[e] = 0
                    imag[e] = 0


def pack(
    epochs: npt.NDArray[np.float32],
    tapers: npt.NDArray[np.floating[Any]],
    bins: npt.NDArray[np.intp],
    chunk: npt.NDArray[np.float32],
    at: int,
    *,
    scale: npt.NDArray[np.floating[Any]] | None = None,
    n_threads: int = 1,
) -> None:
    """Transform at most 16 epochs and write them as one group of a packed chunk.

    Parameters
    ----------
    epochs : array, axes (epoch, channel, time)
        At most 16 epochs; the rest of the group is filled with zeros.
    tapers : array, axes (taper, time)
    bins : int array
        FFT bins to keep; see `band_bins`.
    chunk : float32 array, axes (frequency, channel, 2 * taper, epoch)
        Written to.
    at : int
        Position of the group along the epochs, a multiple of 16.
    scale : array, axes (channel,) | None
        Factor per channel; the same for every epoch of a recording. Fourth powers of the
        scaled amplitudes have to fit into float32 (1e-38 to 1e38).
    n_threads : int

    Raises
    ------
    KernelInputError
        Where the shapes do not fit together.
    """
    _check_pack(epochs, tapers, bins, chunk, at)
    n_epochs, n_channels, n_times = epochs.shape
    signal = np.ascontiguousarray(epochs, dtype=np.float32)
    windows = np.ascontiguousarray(tapers, dtype=np.float32)
    gains = np.ones(n_channels) if scale is None else scale
    gains32 = np.ascontiguousarray(gains, dtype=np.float32)
    wanted = np.ascontiguousarray(bins, dtype=np.int64)

    def transform(part: slice) -> None:
        from scipy.fft import rfft

        shape = (part.stop - part.start, n_epochs, len(windows), n_times)
        tapered = np.empty(shape, dtype=np.float32)
        _taper(signal, part.start, windows, gains32, tapered)
        spectra = rfft(tapered, axis=-1, overwrite_x=True)
        _scatter(spectra.view(np.float32).reshape(*spectra.shape, 2), wanted, part.start, at, chunk)

    if n_epochs and n_channels:
        parallel_map(transform, slices(n_channels, -(-n_channels // _CHANNELS)), n_threads)
    elif n_channels:
        chunk[..., at : at + GROUP] = 0


def _check_pack(epochs: Any, tapers: Any, bins: Any, chunk: Any, at: int) -> None:
    if epochs.ndim != 3 or epochs.shape[0] > GROUP or epochs.shape[2] < 1:
        raise KernelInputError(
            where="epochs",
            expected=f"at most {GROUP} epochs x channels x times",
            got=f"shape {epochs.shape}",
        )
    if tapers.ndim != 2 or tapers.shape[1] != epochs.shape[2]:
        raise KernelInputError(
            where="tapers",
            expected=f"tapers x {epochs.shape[2]} times",
            got=f"shape {tapers.shape}",
        )
    if len(bins) and not (np.min(bins) >= 0 and np.max(bins) <= epochs.shape[2] // 2):
        raise KernelInputError(
            where="bins",
            expected=f"FFT bins from 0 to {epochs.shape[2] // 2}",
            got=f"{np.min(bins)} to {np.max(bins)}",
        )
    shape = (len(bins), epochs.shape[1], 2 * len(tapers))
    if chunk.shape[:3] != shape or chunk.dtype != np.float32 or not chunk.flags.c_contiguous:
        raise KernelInputError(
            where="chunk",
            expected=f"a C-ordered float32 array of shape {shape} + (epochs,)",
            got=f"{chunk.dtype} of shape {chunk.shape}",
        )
    if at % GROUP or not 0 <= at <= chunk.shape[3] - GROUP:
        raise KernelInputError(
            where="at",
            expected=f"a multiple of {GROUP} below {chunk.shape[3]}",
            got=str(at),
        )
