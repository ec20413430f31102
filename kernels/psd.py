"""Welch spectra as sums over segments that merge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import scipy.fft

from brainforge.errors import KernelInputError
from brainforge.kernels.dispatch import kernel
from brainforge.kernels.namespace import namespace, to_device

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]


class Segments(Protocol):
    """Segments of equal length at equal distances."""

    @property
    def n_per_seg(self) -> int:
        """Samples a segment."""

    @property
    def step(self) -> int:
        """Samples between the starts of two."""

    def n_segments(self, n_samples: int) -> int:
        """Return how many whole segments fit into ``n_samples``."""


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


def check_signal(x: Any, good: npt.NDArray[np.bool_] | None) -> None:
    """Raise KernelInputError unless ``good`` has the shape of x."""
    if good is not None and good.shape != x.shape:
        raise KernelInputError(where="good", expected=f"shape {x.shape}", got=f"{good.shape}")


def kept_segments(
    x: Any, plan: Segments, good: npt.NDArray[np.bool_] | None
) -> npt.NDArray[np.bool_]:
    """Return which whole segments of x count, axes (channel, segment), on the host.

    Raises
    ------
    KernelInputError
        Where ``good`` has another shape than x.
    """
    check_signal(x, good)
    if good is None:
        return np.ones((x.shape[0], plan.n_segments(x.shape[1])), dtype=bool)
    return good_segments(good, plan)


def good_segments(good: npt.NDArray[np.bool_], plan: Segments) -> npt.NDArray[np.bool_]:
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


@kernel(
    device="brainforge.kernels.device.psd:segment_power",
    tolerance=2e-6,
    takes={"x": "float32 (channel, sample)"},
)
def segment_power(
    x: F32,
    plan: WelchPlan,
    keep: npt.NDArray[np.bool_],
    *,
    rows: npt.NDArray[np.int64] | None = None,
    first: int = 0,
    before: F32 | None = None,
    total: F64 | None = None,
    n_threads: int = 1,
) -> F64:
    """Sum the two-sided periodograms of chosen segments; the loop behind `welch_sums`.

    Parameters
    ----------
    x : float32 array, axes (channel, sample)
    plan : WelchPlan
    keep : bool array, axes (row, segment)
        Segments to sum. The others are not read, so they may hold anything or not exist.
    rows : int64 array, axes (row,) | None
        Channels to take, in order; None for all.
    first : int
        Sample of ``x`` at which the first segment begins; below 0 it begins in ``before``.
    before : float32 array, axes (channel, sample) | None
        The samples that come just before ``x``.
    total : float64 array, axes (row, n_per_seg) | None
        Sums of an earlier call, to go on from.
    n_threads : int
        Threads over channels.

    Returns
    -------
    float64 array, axes (row, n_per_seg)
        Over the frequencies of a full transform. What lies at a frequency and what lies at its
        negative have a meaning together only: `folded` adds them up.

    See Also
    --------
    brainforge.kernels.running_power.RunningPower : the same over many calls
    """
    from brainforge.kernels.running_power import RunningPower

    power = RunningPower(plan, x.shape[0] if rows is None else len(rows))
    power.add(x, keep, rows=rows, first=first, before=before, n_threads=n_threads)
    sums: F64 = power.sums()
    return sums if total is None else total + sums


def check_inside(
    shape: tuple[int, ...],
    n_before: int,
    plan: WelchPlan,
    keep: npt.NDArray[np.bool_],
    first: int,
    n_rows: int,
) -> None:
    """Raise KernelInputError unless the segments to keep lie in the samples that are there."""
    if keep.ndim != 2 or keep.shape[0] != n_rows:
        raise KernelInputError(
            where="keep", expected=f"bool, {n_rows} rows x segments", got=f"shape {keep.shape}"
        )
    kept = np.flatnonzero(keep.any(axis=0))
    if not len(kept):
        return
    low, high = first + kept[0] * plan.step, first + kept[-1] * plan.step + plan.n_per_seg
    if low < -n_before or high > shape[1]:
        raise KernelInputError(
            where="keep",
            expected=f"segments inside {-n_before} to {shape[1]}",
            got=f"{low} to {high}",
        )


def folded(power: Any, plan: WelchPlan) -> Any:
    """Return one-sided densities, axes (row, frequency), from sums of `segment_power`.

    They live where ``power`` does.
    """
    xp, n = namespace(power), len(plan.freqs)
    mirrored = xp.concat([power[:, :1], xp.flip(power[:, 1:], axis=1)], axis=1)
    return (power[:, :n] + mirrored[:, :n]) * to_device(plan.one_sided() / 2, like=power)


@kernel(
    device="brainforge.kernels.device.psd:welch_sums",
    tolerance=2e-6,
    takes={"x": "float32 (channel, sample)", "good": "bool (channel, sample)"},
)
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
    keep = kept_segments(x, plan, good)
    power = segment_power(x, plan, keep, n_threads=n_threads)
    return folded(power, plan), keep.sum(axis=1).astype(np.int64)
