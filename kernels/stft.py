"""Short-time Fourier transform: the spectrum of every frame of a signal, masked frames marked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.fft

from brainforge.errors import KernelInputError
from brainforge.kernels.dispatch import kernel
from brainforge.kernels.parallel import parallel_map
from brainforge.kernels.psd import check_signal, good_segments
from brainforge.kernels.scratch import scratch
from brainforge.kernels.segments import window_rows

F32 = npt.NDArray[np.float32]
_TILE_BYTES = 3 << 18  # of windowed frames at a time: what the second cache holds


@dataclass(frozen=True)
class StftPlan:
    """Frames and window of a short-time Fourier transform.

    Parameters
    ----------
    sfreq : float
        Sampling rate in Hz.
    n_per_seg, step : int
        Samples a frame, and between the starts of two (the hop).
    window : str
        ``"hann"``, ``"hamming"`` (both periodic) or ``"boxcar"``.
    """

    sfreq: float
    n_per_seg: int
    step: int
    window: str = "hann"

    def __post_init__(self) -> None:
        if self.window not in ("hann", "hamming", "boxcar"):
            raise KernelInputError(
                where="window", expected="hann, hamming or boxcar", got=self.window
            )
        if not (self.sfreq > 0 and self.n_per_seg > 1 and self.step > 0):
            raise KernelInputError(
                where="frames",
                expected="a positive rate, 2 samples or more, a step of 1 or more",
                got=f"{self.sfreq:g} Hz, {self.n_per_seg} samples, step {self.step}",
            )

    @property
    def freqs(self) -> npt.NDArray[np.float64]:
        """Frequencies in Hz."""
        return scipy.fft.rfftfreq(self.n_per_seg, 1 / self.sfreq)

    def taper(self) -> npt.NDArray[np.float64]:
        """Return the window, scaled to a sum of 1."""
        a = {"hann": 0.5, "hamming": 0.54, "boxcar": 1.0}[self.window]
        w = a - (1 - a) * np.cos(2 * np.pi * np.arange(self.n_per_seg) / self.n_per_seg)
        return w / w.sum()

    def n_segments(self, n_samples: int) -> int:
        """Return how many whole frames fit into ``n_samples``."""
        return max((n_samples - self.n_per_seg) // self.step + 1, 0)

    def times(self, n_samples: int) -> npt.NDArray[np.float64]:
        """Return the middle of each frame in seconds from the first sample, axes (frame,)."""
        starts = self.step * np.arange(self.n_segments(n_samples))
        return np.asarray((starts + self.n_per_seg / 2) / self.sfreq, dtype=np.float64)


@kernel(
    device="brainforge.kernels.device.stft:stft",
    tolerance=2e-6,
    takes={"x": "float32 (channel, sample)", "good": "bool (channel, sample)"},
)
def stft(
    x: F32,
    plan: StftPlan,
    good: npt.NDArray[np.bool_] | None = None,
    *,
    n_threads: int = 1,
) -> npt.NDArray[np.complex64]:
    """Transform every whole frame of x.

    Parameters
    ----------
    x : float32 array, axes (channel, sample)
        The first frame starts at the first sample. Bad samples may be anything.
    plan : StftPlan
    good : bool array, axes (channel, sample) | None
        A frame that holds a bad sample is NaN for that channel.
    n_threads : int
        Threads over channels.

    Returns
    -------
    complex64 array, axes (channel, frame, frequency)
        In the unit of ``x``: a sine of amplitude A at one of the frequencies has A / 2. The
        phase is that at the first sample of the frame. No mean is taken off.

    Raises
    ------
    KernelInputError
        Where shapes or types do not fit.

    References
    ----------
    Allen & Rabiner (1977), A unified approach to short-time Fourier analysis and synthesis.
    Proc IEEE 65:1558-1564.
    """
    check_signal(x, good)
    n_frames, n = plan.n_segments(x.shape[1]), plan.n_per_seg
    out = np.empty((len(x), n_frames, n // 2 + 1), dtype=np.complex64)
    keep = frames_to_keep(x.shape, plan, good)
    starts = np.where(keep, np.arange(n_frames) * plan.step, -1)
    x, taper = np.ascontiguousarray(x), plan.taper().astype(np.float32)
    some = max(_TILE_BYTES // (4 * n), 1)  # frames

    def work(channel: int) -> None:
        for at in range(0, n_frames, some):
            part = starts[channel, at : at + some]
            rows = scratch("windowed frames", (len(part), n), np.float32)
            window_rows(x[channel], part, taper, False, rows)
            out[channel, at : at + some] = scipy.fft.rfft(rows, axis=-1)

    parallel_map(work, range(len(x)), n_threads)
    if not keep.all():
        out[~keep] = complex(np.nan, np.nan)
    return out


def frames_to_keep(
    shape: tuple[int, ...], plan: StftPlan, good: npt.NDArray[np.bool_] | None
) -> npt.NDArray[np.bool_]:
    """Return which frames hold good samples only, axes (channel, frame)."""
    n_frames = plan.n_segments(shape[1])
    if good is None or not n_frames:
        return np.ones((shape[0], n_frames), dtype=bool)
    return good_segments(good, plan)
