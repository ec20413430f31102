"""Spectra of a window that moves on by a few samples at a time: a sliding Fourier transform.

The transform of the whole window is the sum of its pieces' transforms. Each step transforms
the new piece only, at the wanted bins only (one small matrix product), adds it and takes off
the oldest. The Hann window is applied between neighbouring bins (Harris 1978, Proc IEEE
66:51-83). The sum is kept in float64, so that adding and taking off for days loses nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.errors import KernelInputError
from brainforge.kernels.dispatch import kernel
from brainforge.kernels.jit import lazy_jit

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class RollingPlan:
    """Which bins of which window.

    Parameters
    ----------
    sfreq : float
        Sampling rate in Hz.
    hop : int
        Samples from one window to the next.
    n_hops : int
        Hops in a window.
    bands : tuple of (float, float)
        Edges in Hz, both included as in mne-connectivity; above 0 and below the Nyquist rate.
    """

    sfreq: float
    hop: int
    n_hops: int
    bands: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        if self.hop < 1 or self.n_hops < 2 or not self.sfreq > 0:
            raise KernelInputError(
                where="hop, n_hops",
                expected="at least 1 sample and 2 hops",
                got=f"{self.hop} and {self.n_hops}",
            )
        for (low, high), bins in zip(self.bands, self.band_bins):
            if not len(bins) or bins[0] < 1 or bins[-1] >= (self.n_window - 1) // 2:
                raise KernelInputError(
                    where="bands",
                    expected=f"bins of {self.sfreq / self.n_window:.3g} Hz between 0 and "
                    f"{self.sfreq / 2:g} Hz",
                    got=f"{low:g} to {high:g} Hz",
                )

    @property
    def n_window(self) -> int:
        """Samples in a window."""
        return self.hop * self.n_hops

    @cached_property
    def band_bins(self) -> tuple[Ints, ...]:
        """FFT bins of every band."""
        freqs = np.arange(self.n_window // 2 + 1) * (self.sfreq / self.n_window)
        tiny = 1e-9 * self.sfreq
        return tuple(
            np.flatnonzero((freqs >= low - tiny) & (freqs <= high + tiny))
            for low, high in self.bands
        )

    @cached_property
    def summed_bins(self) -> Ints:
        """Bins that are summed: those of the bands and their neighbours, for the Hann window."""
        used = np.concatenate([np.zeros(0, np.int64), *self.band_bins])
        return np.unique(np.concatenate([used - 1, used, used + 1]))

    @cached_property
    def middle(self) -> Ints:
        """Position of every band's bins among `summed_bins`, bands in a row."""
        used = np.concatenate([np.zeros(0, np.int64), *self.band_bins])
        return np.searchsorted(self.summed_bins, used).astype(np.int64)

    @cached_property
    def waves(self) -> F32:
        """Cosines and negative sines of the summed bins, axes (hop, 2 * bin, sample)."""
        phase = np.outer(self.summed_bins, np.arange(self.n_window)) % self.n_window
        angle = 2 * np.pi / self.n_window * phase
        both = np.stack([np.cos(angle), -np.sin(angle)], axis=1)
        both = both.reshape(-1, self.n_hops, self.hop).transpose(1, 0, 2)
        return np.ascontiguousarray(both, dtype=np.float32)

    @cached_property
    def rows(self) -> tuple[slice, ...]:
        """Rows of every band in the spectra: its real parts, then its imaginary parts."""
        ends = np.cumsum([0] + [2 * len(b) for b in self.band_bins])
        return tuple(slice(int(a), int(b)) for a, b in pairwise(ends))

    @property
    def scale(self) -> float:
        """What makes the squared spectra one-sided densities in unit**2 / Hz."""
        return float(np.sqrt(2 / (self.sfreq * 0.375 * self.n_window)))


@dataclass
class RollingState:
    """The window so far. Pieces are transforms, axes (hop, 2 * bin, channel)."""

    pieces: F32
    total: F64
    #: hops in a row without a bad sample, axes (channel,)
    age: Ints
    next_hop: int = 0
    spectra: F32 = field(default_factory=lambda: np.zeros((0, 0), np.float32))

    @classmethod
    def empty(cls, plan: RollingPlan, n_channels: int) -> RollingState:
        """Return the state before the first hop."""
        n = 2 * len(plan.summed_bins)
        rows = 2 * len(plan.middle)
        return cls(
            np.zeros((plan.n_hops, n, n_channels), np.float32),
            np.zeros((n, n_channels)),
            np.zeros(n_channels, np.int64),
            spectra=np.zeros((rows, n_channels), np.float32),
        )

    def forget(self) -> None:
        """Begin anew: nothing of what came before will be in a window again."""
        self.pieces[:] = 0
        self.total[:] = 0
        self.age[:] = 0


@lazy_jit(["void(float32[:,::1], Array(float32, 2, 'C', readonly=True), float64[:,::1])"])
def swap(oldest: Any, newest: Any, total: Any) -> None:
    """Put the newest piece in the place of the oldest, and into the sum of all."""
    for r in range(oldest.shape[0]):
        old, new, row = oldest[r], newest[r], total[r]
        for c in range(old.size):
            row[c] += np.float64(new[c]) - np.float64(old[c])
            old[c] = new[c]


@lazy_jit(
    [
        "void(float64[:,::1], Array(int64, 1, 'C', readonly=True),"
        " Array(int64, 1, 'C', readonly=True), Array(float64, 1, 'C', readonly=True),"
        " float64, float64, float32[:,::1])"
    ]
)
def _hann(total: Any, middle: Any, ends: Any, gain: Any, cos: float, sin: float, out: Any) -> None:
    half, quarter = np.float64(0.5), np.float64(0.25)
    for band in range(ends.size - 1):
        n = ends[band + 1] - ends[band]
        for i in range(n):
            k = middle[ends[band] + i]
            ar, ai = total[2 * k - 2], total[2 * k - 1]
            br, bi = total[2 * k], total[2 * k + 1]
            cr, ci = total[2 * k + 2], total[2 * k + 3]
            re, im = out[2 * ends[band] + i], out[2 * ends[band] + n + i]
            for c in range(gain.size):
                left = cos * (ar[c] + cr[c]) + sin * (ai[c] - ci[c])
                right = cos * (ai[c] + ci[c]) - sin * (ar[c] - cr[c])
                re[c] = gain[c] * (half * br[c] - quarter * left)
                im[c] = gain[c] * (half * bi[c] - quarter * right)


@kernel(device=None, why_not="a live block is too small: launching takes longer than the work")
def roll(
    state: RollingState,
    plan: RollingPlan,
    x: F32,
    hop: int,
    good: npt.NDArray[np.bool_] | None = None,
) -> F32:
    """Move the window on by one hop and return its spectra.

    Parameters
    ----------
    state : RollingState
        Changed in place.
    plan : RollingPlan
    x : float32 array, axes (channel, sample)
        The hop's samples, ``plan.hop`` of them. Bad channels may hold anything.
    hop : int
        Number of the hop on the absolute grid: its first sample over ``plan.hop``. A jump
        begins a new window.
    good : bool array, axes (channel,) | None
        Channels without a bad sample in the hop.

    Returns
    -------
    spectra : float32 array, axes (2 * bin, channel)
        Of the Hann-windowed window, band after band (``plan.rows``), real parts before
        imaginary ones; zero for channels whose window is not yet full or holds a bad sample.
        The phase is that of the absolute grid, the same for all channels. Overwritten by the
        next call.

    Raises
    ------
    KernelInputError
        Where shapes or types do not fit, or time goes back.
    """
    n_channels = len(state.age)
    if x.shape != (n_channels, plan.hop) or x.dtype != np.float32:
        raise KernelInputError(
            where="x",
            expected=f"float32 of shape {(n_channels, plan.hop)}",
            got=f"{x.dtype} of shape {x.shape}",
        )
    if hop < state.next_hop:
        raise KernelInputError(where="hop", expected=f"{state.next_hop} or later", got=f"{hop}")
    if hop > state.next_hop:
        state.forget()
    if good is not None and not good.all():
        x = np.where(good[:, None], x, np.float32(0))
    at = hop % plan.n_hops
    newest = np.matmul(plan.waves[at], x.T)
    if not np.isfinite(newest[:1]).all():
        raise KernelInputError(
            where="x", expected="finite samples", got="NaN or infinity", fix="call them not good"
        )
    if good is not None:
        state.age[~good] = -1
    state.age += 1
    state.next_hop = hop + 1
    swap(state.pieces[at], newest, state.total)
    # the window begins where the next hop's place in the ring is
    angle = 2 * np.pi * ((at + 1) % plan.n_hops) / plan.n_hops
    gain = np.where(state.age >= plan.n_hops, plan.scale, 0.0)
    ends = np.cumsum([0] + [len(b) for b in plan.band_bins])
    _hann(state.total, plan.middle, ends, gain, np.cos(angle), np.sin(angle), state.spectra)
    return state.spectra


def psd_of(spectra: F32, plan: RollingPlan) -> F64:
    """Return the mean density of every band, axes (channel, band), in unit**2 / Hz."""
    bands = [
        np.square(spectra[rows].astype(np.float64)).sum(axis=0) / ((rows.stop - rows.start) / 2)
        for rows in plan.rows
    ]
    return np.stack(bands, axis=1)
