"""Multitaper power spectra (Thomson 1982, Proc IEEE 70:1055-1096) as sums over segments."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from brainforge.errors import KernelInputError
from brainforge.kernels.connectivity.multitaper import dpss_tapers
from brainforge.kernels.dispatch import kernel
from brainforge.kernels.psd import WelchPlan, folded, kept_segments, segment_power

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class MultitaperPlan:
    """Segments and DPSS tapers of a multitaper estimate.

    Parameters
    ----------
    sfreq : float
        Sampling rate in Hz.
    n_per_seg, step : int
        Samples a segment, and between the starts of two.
    half_bandwidth : float
        Time times half-bandwidth; the spectral half-width is ``half_bandwidth * sfreq /
        n_per_seg``.
    n_tapers : int
        At most ``2 * half_bandwidth``; each weighs as its concentration.
    """

    sfreq: float
    n_per_seg: int
    step: int
    half_bandwidth: float = 4.0
    n_tapers: int = 7

    @property
    def freqs(self) -> F64:
        """Frequencies in Hz."""
        return self.segments.freqs

    @cached_property
    def segments(self) -> WelchPlan:
        """The segments, whatever their window."""
        return WelchPlan(self.sfreq, self.n_per_seg, self.step)

    @cached_property
    def tapers(self) -> F64:
        """Tapers, axes (taper, sample), scaled so that their |FFT|^2 add up to a density."""
        tapers = dpss_tapers(self.n_per_seg, self.half_bandwidth, self.n_tapers)
        return tapers / np.sqrt(self.sfreq * np.sum(tapers**2))

    def single(self, k: int) -> WelchPlan:
        """Return the plan whose only window is taper ``k``."""
        return _OneTaper(self.sfreq, self.n_per_seg, self.step, of=self, number=k)


@dataclass(frozen=True)
class _OneTaper(WelchPlan):
    """Segments windowed by one of several tapers."""

    of: MultitaperPlan | None = None
    number: int = 0

    def taper(self) -> F64:
        assert self.of is not None
        return self.of.tapers[self.number]


def check_plan(plan: MultitaperPlan, n_samples: int) -> None:
    """Raise KernelInputError where not one segment fits."""
    if n_samples and plan.segments.n_segments(n_samples) < 1:
        raise KernelInputError(
            where="x",
            expected=f"at least one segment of {plan.n_per_seg} samples",
            got=f"{n_samples} samples",
        )


@kernel(
    device="brainforge.kernels.device.multitaper_psd:multitaper_sums",
    tolerance=2e-6,
    takes={"x": "float32 (channel, sample)", "good": "bool (channel, sample)"},
)
def multitaper_sums(
    x: F32,
    plan: MultitaperPlan,
    good: npt.NDArray[np.bool_] | None = None,
    *,
    n_threads: int = 1,
) -> tuple[F64, npt.NDArray[np.int64]]:
    """Sum the one-sided multitaper densities of all whole segments of x.

    Parameters
    ----------
    x : float32 array, axes (channel, sample)
        The first segment starts at the first sample. Bad samples may be anything finite. Each
        segment's mean is taken off.
    plan : MultitaperPlan
    good : bool array, axes (channel, sample) | None
        A segment that holds a bad sample is left out for that channel.
    n_threads : int
        Threads over channels.

    Returns
    -------
    power : float64 array, axes (channel, frequency)
        Sum of densities in unit**2 / Hz; divide by ``count``. Sums of parts add up.
    count : int64 array, axes (channel,)
        Number of segments summed.

    Raises
    ------
    KernelInputError
        For another dtype or shape, fewer samples than a segment, or tapers that do not exist.
    """
    check_plan(plan, x.shape[1])
    segments = plan.segments
    keep = kept_segments(x, segments, good)
    power = np.zeros((x.shape[0], plan.n_per_seg))
    for k in range(plan.n_tapers):
        power = segment_power(x, plan.single(k), keep, total=power, n_threads=n_threads)
    return folded(power, segments), keep.sum(axis=1).astype(np.int64)
