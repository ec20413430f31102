"""Connectivity as it goes: spectra of the last seconds, cross-spectra and coherence that fade.

For the live path. It holds no epochs: every hop moves a 2-s window on and adds its
cross-spectra to sums, which fade once they hold as much as their memory is long. So every
sample is used and the answer is never older than a hop. What is kept of a recording is measured
by `ConnectivityMeasure`; this cannot be merged, since a moving window has only one end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.backend import Backend
from brainforge.block import Block
from brainforge.errors import InputError
from brainforge.info import Info
from brainforge.kernels.rolling import RollingPlan, RollingState, psd_of, roll
from brainforge.kernels.rolling_csd import CsdState, add_csd, band_coherence, band_csd
from brainforge.masks import bad_samples
from brainforge.measures.bands import BANDS, ENOUGH_EPOCHS, Bands, fit_bands
from brainforge.measures.picks import Picks

F32 = npt.NDArray[np.float32]
#: length of the window and time between two, in seconds
WINDOW_S, HOP_S = 2.0, 0.05
#: the memory is as long as a plain mean over this many seconds
MEMORY_S = 60.0


@dataclass(frozen=True)
class Rolling:
    """What the live path shows.

    Parameters
    ----------
    names : tuple of str
    bands : tuple of str
    stop : int
        Absolute sample one past the last that is in the numbers.
    n_epochs : float
        Whole windows without overlap that would say as much.
    power : float64 array, axes (channel, band)
        Mean density in the last window, in unit**2 / Hz; NaN where the window of a channel is
        not full or holds a masked sample.
    coherence : float32 array, axes (band, pair)
        Pairs in the order of ``numpy.triu_indices(n, 1)``; 0 before the first window.
    imcoh : float32 array, axes (band, pair)
        Imaginary part of coherency, signed; zero lag, as volume conduction makes it, gives 0.
    wpli : float32 array, axes (band, pair)
        Weighted phase-lag index, 0 to 1, not debiased.
    """

    names: tuple[str, ...]
    bands: tuple[str, ...]
    stop: int
    n_epochs: float
    power: npt.NDArray[np.float64]
    coherence: F32
    imcoh: F32
    wpli: F32

    @property
    def collecting(self) -> bool:
        """Whether there are too few epochs for the answer to mean much."""
        return self.n_epochs < ENOUGH_EPOCHS * (1 - 1e-9)


class RollingMeasure:
    """Move spectra, cross-spectra and coherence on with every block.

    Parameters
    ----------
    info : Info
        Of the blocks.
    backend : Backend
        One thread is used.
    bands : mapping of str to (low, high)
        In Hz; those that do not fit under 0.9 of the Nyquist rate shrink or are left out.
    picks : sequence of str | None
        Channels; None for the good MEG channels.
    hop_s : float
        Seconds from one window to the next.
    memory_s : float
        Until so many seconds are in the sums they are a plain mean; then they fade as fast as
        keeps the variance of that.
    least : float
        Share of a hop's samples that have to be believed for it to count, above 0. Below 1
        what stands in the place of masked samples counts: it has to be something harmless, as
        a filter's bridge over a short stretch is.

    Notes
    -----
    Windows end at multiples of the hop on the absolute sample index, so any cutting of the
    stream gives the same numbers. A window that holds a hop with too many masked samples is
    left out for that channel and its pairs; a gap begins a new window.
    """

    def __init__(
        self,
        info: Info,
        backend: Backend,
        *,
        bands: Bands = BANDS,
        picks: Sequence[str] | None = None,
        hop_s: float = HOP_S,
        memory_s: float = MEMORY_S,
        least: float = 1.0,
    ) -> None:
        if backend.name != "cpu":
            raise InputError(where="backend", expected="cpu", got=backend.name)
        self._picks = Picks(info, picks)
        self.names = self._picks.names
        self._rows = {name: i for i, name in enumerate(self.names)}
        fitted = fit_bands(bands, info.sfreq)
        if not fitted:
            raise InputError(
                where="bands", expected=f"a band below {0.45 * info.sfreq:g} Hz", got="none"
            )
        self.bands = tuple(fitted)
        hop = max(round(hop_s * info.sfreq), 1)
        n_hops = max(round(WINDOW_S * info.sfreq / hop), 2)
        self.plan = RollingPlan(info.sfreq, hop, n_hops, tuple(fitted.values()))
        # an exponential of this rate varies as a plain mean over memory_s does
        steps = max(round(memory_s * info.sfreq / hop), 1)
        self._keep, self._n_plain, self._n_added = (steps - 1) / (steps + 1), steps, 0
        n = len(self.names)
        self._window, self._sums = RollingState.empty(self.plan, n), CsdState.empty(self.plan, n)
        self._hop = np.zeros((n, hop), np.float32)
        self._bad, self._most = np.zeros(n, np.int64), (1.0 - least) * hop
        self._filled, self._stop = 0, -1

    def update(self, block: Block) -> None:
        """Take one block; blocks come in order, a jump of ``start`` is a gap."""
        if block.start < self._stop:
            raise InputError(
                where="live connectivity",
                expected=f"a block that starts at sample {self._stop} or later",
                got=f"one at {block.start}",
            )
        x = self._picks.data(block)
        touched, bad = bad_samples(block, self._rows)
        if block.start != self._stop:
            self._filled = -1 if block.start % self.plan.hop else 0
            self._bad[:] = 0
        self._stop = block.start
        at, size = 0, x.shape[1]
        while at < size:
            left = self.plan.hop - self._stop % self.plan.hop
            end = min(at + left, size)
            self._bad[touched] += np.count_nonzero(bad[:, at:end], axis=1)
            self._take(x[:, at:end])
            at = end

    @property
    def stop(self) -> int:
        """Absolute sample one past the last whole hop."""
        return max(self._stop, 0) // self.plan.hop * self.plan.hop

    @property
    def window_s(self) -> float:
        """Length of the window in seconds."""
        return self.plan.n_window / self.plan.sfreq

    def forget(self) -> None:
        """Let what fades begin anew; the window that moves goes on."""
        self._sums, self._n_added = CsdState.empty(self.plan, len(self.names)), 0

    def power(self) -> npt.NDArray[np.float64]:
        """Return the mean density of every band in the last window, as `Rolling.power`."""
        full = self._window.age >= self.plan.n_hops
        return np.where(full[:, None], psd_of(self._window.spectra, self.plan), np.nan)

    def csd(self) -> npt.NDArray[np.complex128]:
        """Return the mean cross-spectral density of every band, (band, channel, channel)."""
        return band_csd(self._sums)

    def result(self) -> Rolling:
        """Return what is known up to the last whole hop."""
        n_epochs = self._sums.n_windows() / self.plan.n_hops
        return Rolling(
            self.names, self.bands, self.stop, n_epochs, self.power(), *band_coherence(self._sums)
        )

    def state(self) -> dict[str, Any]:
        """Return a checkpoint (arrays and JSON-ready values)."""
        return {
            "window": _copied(asdict(self._window)),
            "sums": _copied(asdict(self._sums)),
            "hop": self._hop.copy(),
            "bad": self._bad.copy(),
            "at": [self._filled, self._stop, self._n_added],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint."""
        self._window = RollingState(**_copied(state["window"]))
        self._sums = CsdState(**_copied(state["sums"]))
        self._hop, self._bad = np.array(state["hop"]), np.array(state["bad"])
        self._filled, self._stop, self._n_added = state["at"]

    def _take(self, x: F32) -> None:
        """Take samples of one hop; -1 filled means that the hop's beginning is missing."""
        hop, n = self.plan.hop, x.shape[1]
        self._stop += n
        if self._filled >= 0:
            self._hop[:, self._filled : self._filled + n] = x
            self._filled += n
        if self._stop % hop:
            return
        if self._filled == hop:
            self._step(self._stop // hop - 1)
        self._filled = 0
        self._bad[:] = 0

    def _step(self, hop: int) -> None:
        spectra = roll(self._window, self.plan, self._hop, hop, self._bad <= self._most)
        full = self._window.age >= self.plan.n_hops
        if full.any():
            # until the memory is full nothing has to fade
            keep = 1.0 if self._n_added < self._n_plain else self._keep
            add_csd(self._sums, self.plan, spectra, keep, full)
            self._n_added += 1


def _copied(state: dict[str, Any]) -> dict[str, Any]:
    return {k: v.copy() if isinstance(v, np.ndarray) else v for k, v in state.items()}
