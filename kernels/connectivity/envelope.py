"""The analytic signal of a band, for one long epoch, by FFT.

Mean off, the outer half of each edge tapered, FFT, the band's bins with raised-cosine flanks,
inverse FFT; then both edges are left out, because the circular transform is wrong there. The
inverse transform needs only as many points as the band is wide: a band-limited signal sampled
at a lower rate is exact at its samples, and the carrier it is shifted by cancels in
z_i conj(z_j) and in |z|.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.errors import KernelInputError
from brainforge.kernels.dispatch import kernel
from brainforge.kernels.jit import lazy_jit
from brainforge.kernels.parallel import parallel_map, slices
from brainforge.kernels.scratch import scratch


@dataclass(frozen=True)
class BandWindow:
    """How one band of one epoch length is cut out.

    Parameters
    ----------
    n_times : int
        Samples of an epoch.
    first_bin : int
        FFT bin of ``weights[0]``.
    weights : float32 array, axes (bin,)
        Gain of each bin, 2 inside the band so that the result is the analytic signal.
    n_points : int
        Samples of the analytic signal over the whole epoch.
    keep : slice
        Which of them are kept.
    """

    n_times: int
    first_bin: int
    weights: npt.NDArray[np.float32]
    n_points: int
    keep: slice

    @property
    def n_bins(self) -> int:
        """FFT bins needed, from 0 Hz on."""
        return self.first_bin + len(self.weights)

    @property
    def n_kept(self) -> int:
        """Samples that are kept."""
        return self.keep.stop - self.keep.start


def band_window(
    n_times: int,
    sfreq: float,
    band: tuple[float, float],
    *,
    edge: float = 1.0,
    flank: float = 1.0,
    oversampling: float | None = None,
) -> BandWindow:
    """Plan the analytic signal of one band.

    Parameters
    ----------
    n_times : int
        Samples of an epoch.
    sfreq : float
        In Hz.
    band : (low, high)
        In Hz, where the gain is one half of its greatest.
    edge : float
        Seconds left out at either end.
    flank : float
        Width of the raised-cosine flanks in Hz.
    oversampling : float | None
        Samples a second per hertz of bandwidth; None keeps ``sfreq``.

    Raises
    ------
    KernelInputError
        Where the band does not lie between 0 and the Nyquist frequency, or nothing is left.
    """
    from scipy.fft import next_fast_len

    low, high = band
    if not flank / 2 <= low < high <= sfreq / 2 - flank / 2:
        raise KernelInputError(
            where="band",
            expected=f"edges from {flank / 2:g} to {sfreq / 2 - flank / 2:g} Hz, rising",
            got=f"{low:g}-{high:g} Hz",
        )
    freqs = np.fft.rfftfreq(n_times, 1.0 / sfreq)
    outside = np.maximum(low - freqs, freqs - high) / flank + 0.5
    gain = 2.0 * np.square(np.cos(0.5 * np.pi * np.clip(outside, 0.0, 1.0)))
    used = np.flatnonzero(gain > 1e-12)
    n_points = n_times
    if oversampling is not None and len(used):
        n_points = min(n_times, next_fast_len(max(int(oversampling * len(used)), 1)))
    skipped = int(np.ceil(edge * sfreq * n_points / n_times))
    if len(used) == 0 or n_points - 2 * skipped < 2:
        raise KernelInputError(
            where="epoch",
            expected=f"more than {2 * edge:g} s and a bin between {low:g} and {high:g} Hz",
            got=f"{n_times / sfreq:g} s",
        )
    weights = gain[used[0] : used[-1] + 1].astype(np.float32)
    return BandWindow(n_times, int(used[0]), weights, n_points, slice(skipped, n_points - skipped))


def edge_taper(n_times: int, sfreq: float, edge: float = 1.0) -> npt.NDArray[np.float32]:
    """Return a taper that rises and falls over the outer half of either edge, axes (time,)."""
    ramp = min(int(edge * sfreq / 2), n_times // 2)
    taper = np.ones(n_times, dtype=np.float32)
    rise = np.square(np.sin(0.5 * np.pi * (np.arange(ramp) + 0.5) / max(ramp, 1)))
    taper[:ramp] = rise
    taper[n_times - ramp :] = rise[::-1]
    return taper


@lazy_jit(
    [
        "void(Array(float32, 2, 'C', readonly=True), Array(float32, 1, 'C', readonly=True), "
        "float32[:, ::1])"
    ]
)
def _tapered(epoch: Any, taper: Any, out: Any) -> None:
    """Fill out (channel, time) with the epoch less its mean, tapered; zeros for a flat channel."""
    n_times = len(taper)
    for c in range(out.shape[0]):
        x, y, start = epoch[c], out[c], epoch[c, 0]
        total, moved = 0.0, np.float32(0)
        for t in range(n_times):
            # kept, not made again: the compiler would take both off at once, at the size of x
            y[t] = x[t] - start
            total += y[t]
            moved += abs(y[t])
        mean = np.float32(total / n_times)
        # a flat channel must not get a phase from rounding
        gain = np.float32(1) if moved > np.float32(0) else np.float32(0)
        for t in range(n_times):
            y[t] = (y[t] - mean) * (gain * taper[t])


@kernel(
    device="brainforge.kernels.device.envelope:epoch_spectrum",
    tolerance=2e-6,
    takes={"epoch": "float32|float64 (..., channel, time)"},
)
def epoch_spectrum(
    epoch: npt.NDArray[Any],
    taper: npt.NDArray[np.float32],
    n_threads: int = 1,
    n_bins: int | None = None,
) -> npt.NDArray[np.complex64]:
    """Return the spectrum of one epoch or more without means, axes (..., channel, frequency).

    Parameters
    ----------
    epoch : array, axes (channel, time) or (epoch, channel, time)
    taper : float32 array, axes (time,)
    n_threads : int
    n_bins : int | None
        Frequencies that are kept, from 0 Hz on; None keeps all.
    """
    check_epoch(epoch, taper)
    kept = min(n_bins or len(taper), len(taper) // 2 + 1)
    rows = np.ascontiguousarray(epoch, dtype=np.float32).reshape(-1, len(taper))
    out = np.empty((len(rows), kept), dtype=np.complex64)

    def transform(part: slice) -> None:
        from scipy.fft import rfft

        tapered = scratch("tapered epoch", (part.stop - part.start, len(taper)), np.float32)
        _tapered(rows[part], taper, tapered)
        out[part] = rfft(tapered, axis=-1, overwrite_x=True)[:, :kept]

    parallel_map(transform, slices(len(rows), -(-len(rows) // 32)), n_threads)
    return out.reshape(*epoch.shape[:-1], kept)


def check_epoch(epoch: Any, taper: npt.NDArray[np.float32]) -> None:
    """Raise KernelInputError unless epochs are as long as their taper."""
    if epoch.ndim not in (2, 3) or epoch.shape[-1] != len(taper) or not len(taper):
        raise KernelInputError(
            where="epoch",
            expected=f"channels x {len(taper)} times, or epochs of them",
            got=f"shape {epoch.shape}",
        )


@kernel(
    device="brainforge.kernels.device.envelope:analytic",
    tolerance=2e-6,
    takes={"spectrum": "complex64 (..., channel, frequency)"},
)
def analytic(spectrum: npt.NDArray[np.complex64], window: BandWindow) -> npt.NDArray[np.complex64]:
    """Return the band's analytic signal without edges, axes (..., channel, time).

    Parameters
    ----------
    spectrum : complex64 array, axes (channel, frequency) or (epoch, channel, frequency)
        See `epoch_spectrum`.
    window : BandWindow
    """
    from scipy.fft import ifft

    n_bins = len(window.weights)
    cut = spectrum[..., window.first_bin : window.n_bins]
    # starting at bin 0 shifts the carrier, which no measure here can see
    bins = np.empty((*spectrum.shape[:-1], window.n_points), dtype=np.complex64)
    np.multiply(cut, window.weights / np.float32(window.n_times), out=bins[..., :n_bins])
    bins[..., n_bins:] = 0
    signal = ifft(bins, axis=-1, norm="forward", overwrite_x=True)
    return signal[..., window.keep]
