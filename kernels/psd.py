"""Welch spectra and averaged cross-spectral densities as sums over segments that merge."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.fft

from brainforge.errors import KernelInputError
from brainforge.kernels.dispatch import kernel
from brainforge.kernels.parallel import parallel_map, slices

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
_TILE_BYTES = 1 << 19  # of windowed segments at a time


@dataclass(frozen=True)
class WelchPlan:
    """Segments and window of a Welch estimate.

    Parameters
    ----------
    sfreq : float
        Sampling rate in Hz.
    n_per_seg, step : int
        Samples a segment, and between the starts of two.
    window : str
        ``"hann"`` (SciPy's default) or ``"hamming"`` (MNE's), both periodic.
    """

    sfreq: float
    n_per_seg: int
    step: int
    window: str = "hann"

    def __post_init__(self) -> None:
        if self.window not in ("hann", "hamming"):
            raise KernelInputError(where="window", expected="hann or hamming", got=self.window)
        if not (self.sfreq > 0 and self.n_per_seg > 1 and 0 < self.step <= self.n_per_seg):
            raise KernelInputError(
                where="segments",
                expected="a positive rate, 2 samples or more, a step of 1 to the length",
                got=f"{self.sfreq:g} Hz, {self.n_per_seg} samples, step {self.step}",
            )

    @property
    def freqs(self) -> F64:
        """Frequencies in Hz."""
        return scipy.fft.rfftfreq(self.n_per_seg, 1 / self.sfreq)

    def taper(self) -> F64:
        """Return the window scaled so that |FFT|^2 is a two-sided density."""
        a = 0.5 if self.window == "hann" else 0.54
        w = a - (1 - a) * np.cos(2 * np.pi * np.arange(self.n_per_seg) / self.n_per_seg)
        return w / np.sqrt(self.sfreq * np.sum(w**2))

    def one_sided(self) -> F64:
        """Return the factors that fold negative frequencies onto positive ones."""
        factor = np.full(self.n_per_seg // 2 + 1, 2.0)
        factor[0] = 1.0
        if self.n_per_seg % 2 == 0:
            factor[-1] = 1.0
        return factor

    def n_segments(self, n_samples: int) -> int:
        """Return how many whole segments fit into ``n_samples``."""
        return max((n_samples - self.n_per_seg) // self.step + 1, 0)


def _check(x: F32, good: npt.NDArray[np.bool_] | None) -> None:
    if x.ndim != 2 or x.dtype != np.float32:
        raise KernelInputError(
            where="x", expected="float32 channels x samples", got=f"{x.shape}, {x.dtype}"
        )
    if good is not None and good.shape != x.shape:
        raise KernelInputError(where="good", expected=f"shape {x.shape}", got=f"{good.shape}")


def good_segments(good: npt.NDArray[np.bool_], plan: WelchPlan) -> npt.NDArray[np.bool_]:
    """Return which segments hold good samples only, axes (channel, segment)."""
    n = plan.n_segments(good.shape[1])
    keep = np.ones((good.shape[0], n), dtype=bool)
    masked = np.flatnonzero(~good.all(axis=1))
    if len(masked):
        bad = np.zeros((len(masked), good.shape[1] + 1), dtype=np.int32)
        np.cumsum(~good[masked], axis=1, out=bad[:, 1:])
        starts = np.arange(n) * plan.step
        keep[masked] = bad[:, starts + plan.n_per_seg] == bad[:, starts]
    return keep


def _segments(x: F32, plan: WelchPlan) -> F32:
    """Return the segments of each row as a view, axes (channel, segment, sample)."""
    windows = np.lib.stride_tricks.sliding_window_view(x, plan.n_per_seg, axis=1)
    return windows[:, :: plan.step]


def _spectra(segments: F32, taper: F32) -> npt.NDArray[np.complex64]:
    """Return transforms of the windowed segments, their means taken off."""
    work = segments - segments.mean(axis=-1, keepdims=True, dtype=np.float32)
    work *= taper
    return scipy.fft.rfft(work, axis=-1, overwrite_x=True)


@kernel(device="brainforge.kernels.device.psd:welch_sums", tolerance=2e-6)
def welch_sums(
    x: F32,
    plan: WelchPlan,
    good: npt.NDArray[np.bool_] | None = None,
    *,
    n_threads: int = 1,
) -> tuple[F64, npt.NDArray[np.int64]]:
    """Sum the one-sided periodograms of all whole segments of x.

    Parameters
    ----------
    x : float32 array, axes (channel, sample)
        The first segment starts at the first sample. Bad samples may be anything finite.
    plan : WelchPlan
    good : bool array, axes (channel, sample) | None
        A segment that holds a bad sample is left out for that channel.
    n_threads : int
        Threads over channels.

    Returns
    -------
    power : float64 array, axes (channel, frequency)
        Sum of densities in unit**2 / Hz; divide by ``count``. Sums of parts of a recording
        add up (Welch 1967, IEEE Trans Audio Electroacoust 15:70-73).
    count : int64 array, axes (channel,)
        Number of segments summed.
    """
    _check(x, good)
    n_channels, n_seg = x.shape[0], plan.n_segments(x.shape[1])
    power = np.zeros((n_channels, plan.n_per_seg // 2 + 1))
    if not n_seg or not n_channels:
        return power, np.zeros(n_channels, dtype=np.int64)
    keep = None if good is None else good_segments(good, plan)
    if keep is not None and keep.all():
        keep = None
    taper = plan.taper().astype(np.float32)
    segments = _segments(x, plan)
    n_batch = max(_TILE_BYTES // (4 * plan.n_per_seg), 1)  # segments, of one or more channels
    rows = max(n_batch // n_seg, 1)

    def work(part: slice) -> None:
        for begin in range(0, n_seg, n_batch):
            some = slice(begin, begin + n_batch)
            spectra = _spectra(segments[part, some], taper)
            if keep is not None:
                spectra[~keep[part, some]] = 0
            flat = spectra.view(np.float32)
            square = np.einsum("csf,csf->cf", flat, flat).astype(np.float64)
            power[part] += square[:, ::2] + square[:, 1::2]

    parallel_map(work, slices(n_channels, -(-n_channels // rows)), n_threads)
    power *= plan.one_sided()
    count = np.full(n_channels, n_seg) if keep is None else keep.sum(axis=1)
    return power, count.astype(np.int64)


def csd_sums(
    x: F32,
    plan: WelchPlan,
    good: npt.NDArray[np.bool_] | None = None,
    *,
    fmin: float = 0.0,
    fmax: float = np.inf,
    n_threads: int = 1,
) -> tuple[npt.NDArray[np.complex128], int]:
    """Sum the one-sided cross-spectral densities of all whole segments of x.

    Parameters
    ----------
    x, plan, good, n_threads
        As for `welch_sums`; a segment with a bad sample in any channel is left out.
    fmin, fmax : float
        Frequencies to keep, in Hz, both inclusive.

    Returns
    -------
    csd : complex128 array, axes (frequency, channel, channel)
        Sum over segments of X_i * conj(X_j); divide by ``count``. Hermitian.
    count : int
        Number of segments summed.
    """
    _check(x, good)
    n_channels, n_seg = x.shape[0], plan.n_segments(x.shape[1])
    picked = np.flatnonzero((plan.freqs >= fmin) & (plan.freqs <= fmax))
    csd = np.zeros((len(picked), n_channels, n_channels), dtype=np.complex128)
    if not n_seg or not n_channels or not len(picked):
        return csd, 0
    keep = np.arange(n_seg)
    if good is not None:
        keep = np.flatnonzero(good_segments(good, plan).all(axis=0))
    taper = plan.taper().astype(np.float32)
    segments = _segments(x, plan)
    spectra = np.empty((len(picked), n_channels, len(keep)), dtype=np.complex64)

    def transform(c: int) -> None:
        spectra[:, c] = _spectra(segments[c][keep], taper)[:, picked].T

    def multiply(part: slice) -> None:
        piece = spectra[part]
        csd[part] = piece @ piece.conj().transpose(0, 2, 1)

    parallel_map(transform, range(n_channels), n_threads)
    parallel_map(multiply, slices(len(picked), 4 * n_threads), n_threads)
    csd *= plan.one_sided()[picked, None, None]
    return csd, len(keep)
