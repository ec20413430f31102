"""LiveSpectra: the spectrum of every channel from the last seconds, fading, and since the start."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.fft import rfft

from brainforge.live.recent import Recent

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
#: length of a window and time between two, in seconds
WINDOW_S, STEP_S = 2.0, 0.25
#: the memory is as long as a plain mean over this many seconds
MEMORY_S = 10.0
#: Hz that are shown
LOWEST, HIGHEST = 1.0, 100.0
#: share of a window's samples that have to be believed for it to count in a channel
LEAST = 0.75


class LiveSpectra:
    """Welch spectra of a signal at its working rate, Hann windows of 2 s every 250 ms.

    Parameters
    ----------
    n_channels : int
    sfreq : float
        Of the signal.
    """

    def __init__(self, n_channels: int, sfreq: float) -> None:
        self.memory_s = MEMORY_S
        #: one past the newest working sample in the numbers
        self.stop = 0
        self.n_window = 2 * round(WINDOW_S * sfreq / 2)
        #: samples from one window to the next: windows end at multiples of it
        self.step = max(round(STEP_S * sfreq), 1)
        freqs = np.arange(self.n_window // 2 + 1) * sfreq / self.n_window
        top = min(HIGHEST, 0.45 * sfreq)
        self._bins = slice(
            int(np.searchsorted(freqs, LOWEST - 1e-9)), int(np.searchsorted(freqs, top + 1e-9))
        )
        self.freqs = freqs[self._bins]
        self._taper = np.hanning(self.n_window + 1)[:-1].astype(np.float32)
        self._scale = np.float32(2.0 / (sfreq * float(np.square(self._taper).sum())))
        steps = MEMORY_S * sfreq / self.step
        self._keep = np.float32((steps - 1) / (steps + 1))
        shape = n_channels, len(self.freqs)
        self._sums, self._weights = np.zeros(shape, np.float32), np.zeros(n_channels, np.float32)
        #: of all windows since the start; every second half of a window is new
        self._total, self._n = np.zeros(shape), np.zeros(n_channels, np.int64)
        self._mean: F32 | None = None
        self._new = max(self.n_window // 2 // self.step, 1)

    def update(self, recent: Recent, stop: int) -> None:
        """Take the window that ends at working sample ``stop``, a multiple of `step`."""
        self.stop = stop
        data, _ = recent.window(stop - self.n_window, stop)
        believed = recent.believed(stop - self.n_window, stop) >= LEAST
        # the taper keeps a constant away from all bins but the first two: it need not be taken off
        spectrum = rfft(data * self._taper, axis=1, overwrite_x=True)[:, self._bins]
        power = self._scale * (np.square(spectrum.real) + np.square(spectrum.imag))
        power[~believed] = 0.0
        self._sums *= self._keep
        self._sums += power
        self._weights = self._keep * self._weights + believed.astype(np.float32)
        if stop // self.step % self._new == 0:
            self._total += power
            self._n += believed
            self._mean = None

    def psd(self) -> F32:
        """Return the fading mean, axes (channel, frequency), unit**2 / Hz; NaN before any."""
        out = np.full(self._sums.shape, np.nan, np.float32)
        known = (self._weights > 1e-3)[:, None]
        return np.divide(self._sums, self._weights[:, None], out=out, where=known)

    def mean(self) -> F32:
        """Return the mean since the start, axes (channel, frequency); NaN before any window."""
        if self._mean is None:
            out = np.full(self._total.shape, np.nan)
            n = self._n[:, None]
            self._mean = np.divide(self._total, n, out=out, where=n > 0).astype(np.float32)
        return self._mean

    def forget(self) -> None:
        """Begin anew."""
        for sums in (self._sums, self._weights, self._total, self._n):
            sums[:] = 0
        self._mean = None

    @property
    def n_windows(self) -> npt.NDArray[np.int64]:
        """Half-overlapping windows since the start, axes (channel,)."""
        return self._n

    def state(self) -> dict[str, Any]:
        """Return a checkpoint."""
        return {
            "fading": [self._sums.copy(), self._weights.copy()],
            "whole": [self._total.copy(), self._n.copy()],
            "stop": self.stop,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint."""
        self._sums, self._weights = (np.array(a) for a in state["fading"])
        self._total, self._n = (np.array(a) for a in state["whole"])
        self.stop, self._mean = state["stop"], None
