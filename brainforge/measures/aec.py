"""Orthogonalised amplitude envelope correlation of all pairs, one long epoch at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from brainforge.backend import Backend
from brainforge.block import Block
from brainforge.errors import InputError
from brainforge.info import Info
from brainforge.kernels.connectivity.aec import envelope_correlation
from brainforge.kernels.connectivity.envelope import (
    analytic,
    band_window,
    edge_taper,
    epoch_spectrum,
)
from brainforge.kernels.connectivity.layout import n_pairs, to_square
from brainforge.kernels.connectivity.symmetric_aec import symmetric_envelope_correlation
from brainforge.kernels.namespace import copied, is_device, namespace, to_device, to_host
from brainforge.kernels.parallel import parallel_map
from brainforge.measures.bands import BANDS, fit_bands
from brainforge.measures.epochs import EpochCutter, rejected_intervals
from brainforge.measures.picks import Picks
from brainforge.result import Connectivity

_TEXTS = {
    "pairwise": "orthogonalised amplitude envelope correlation, both directions' mean, {kind}",
    "symmetric": "amplitude envelope correlation, symmetrically orthogonalised, {kind}",
}
#: epochs that gather before they are correlated: threads share the work evenly, a device has
#: enough of it at a time
_TOGETHER, _TOGETHER_ON_DEVICE = 4, 16


class AecMeasure:
    """Amplitude envelope correlation after orthogonalisation: of each pair, or of all at once.

    Each epoch on the absolute grid gives one correlation per pair (pairwise, Hipp et al. 2012:
    the mean of both directions, signed); the result is their mean. Masks and gaps leave epochs
    out as in `ConnectivityMeasure`. Blocks may be on a device: all but the result stays there.

    Parameters
    ----------
    info : Info
        Of the blocks to come (working rate).
    backend : Backend
    bands : mapping of str to (low, high)
        In Hz.
    picks : sequence of str | None
        Channel names; None for all good MEG channels (EEG where there is no MEG).
    epoch_duration : float
        Seconds.
    edge : float
        Seconds at either end of an epoch that the Hilbert transform spoils, left out.
    absolute : bool
        Mean of absolute values; biased upwards for short epochs.
    oversampling : float | None
        Samples a second of the analytic signal per hertz of bandwidth. At 4 an epoch's value
        differs from that of every sample by a tenth of its own scatter between epochs; None
        takes every sample, at three to four times the cost.
    orthogonalize : {"pairwise", "symmetric"}
        Symmetric (Colclough et al. 2015) also takes out what leaks in from third channels. It
        asks that no channel of an epoch depends on others, so for regions more than sensors;
        `KernelInputError` says the rank where it is too low.
    """

    def __init__(
        self,
        info: Info,
        backend: Backend | None = None,
        *,
        bands: Mapping[str, tuple[float, float]] = BANDS,
        picks: Sequence[str] | None = None,
        epoch_duration: float = 10.0,
        edge: float = 1.0,
        absolute: bool = False,
        oversampling: float | None = 4.0,
        orthogonalize: str = "pairwise",
    ) -> None:
        if orthogonalize not in _TEXTS:
            raise InputError(
                where="orthogonalize",
                expected=" or ".join(_TEXTS),
                got=repr(orthogonalize),
            )
        self.picks = Picks(info, picks)
        self.bands = fit_bands(bands, info.sfreq)
        self.edge, self.absolute, self.oversampling = edge, absolute, oversampling
        self.orthogonalize = orthogonalize
        self._threads = (backend or Backend()).threads
        length = round(epoch_duration * info.sfreq)
        self._windows = [
            band_window(length, info.sfreq, band, edge=edge, oversampling=oversampling)
            for band in self.bands.values()
        ]
        self._taper = edge_taper(length, info.sfreq, edge)
        self._cutter = EpochCutter(len(self.picks.names), length)
        self._sums: Any = np.zeros((len(self.bands), n_pairs(len(self.picks.names))))
        self._summed = self._unconverged = 0
        self._waiting: list[Any] = []

    def update(self, block: Block) -> None:
        """Take one block; raises InputError as `ConnectivityMeasure.update` does."""
        rejected = rejected_intervals(block, self.picks.name_set)
        self._add(self._cutter.push(self.picks.data(block), block.start, rejected))

    def merge(self, other: Self) -> None:
        """Add what another instance has seen of other stretches; ``other`` is left as it is."""
        if self._identity() != other._identity():
            raise InputError(
                where="merge",
                expected="a measure of the same channels, bands and epochs",
                got="another one",
            )
        met = self._cutter.merge(other._cutter)
        self._sums = _sum(self._sums, other._sums)
        self._summed += other._summed
        self._unconverged += other._unconverged
        self._add([*other._waiting, *met])

    @property
    def n_epochs(self) -> int:
        """Number of epochs taken so far."""
        return self._summed + len(self._waiting)

    def result(self) -> Connectivity:
        """Return the measure "aec" of all seen so far."""
        n = self.n_epochs
        waiting, unconverged = self._correlate(self._waiting)
        unconverged += self._unconverged
        mean = to_host(_sum(self._sums, waiting)) / max(n, 1)
        size = len(self.picks.names)
        values = {
            band: to_square(pairs, size, "symmetric").astype(np.float32)
            for band, pairs in zip(self.bands, mean)
        }
        seconds = self._cutter.length / self.picks.sfreq
        kind = "absolute" if self.absolute else "signed"
        text = (
            f"{_TEXTS[self.orthogonalize].format(kind=kind)}; "
            f"{n} epoch{'' if n == 1 else 's'} of {seconds:.3g} s, "
            f"{self.edge:g} s left out at either end"
        )
        if unconverged:
            text += f"; orthogonalisation did not converge {unconverged} times"
        return Connectivity(
            self.picks.names,
            dict(self.bands),
            dict.fromkeys(self.bands, n),
            {"aec": values},
            {"aec": text},
        )

    def state(self) -> dict[str, Any]:
        """Return a checkpoint."""
        shape = (len(self._waiting), self._cutter.n_channels, self._cutter.length)
        return {
            "identity": self._identity(),
            "cutter": self._cutter.state(),
            "sums": np.array(to_host(self._sums)),
            "summed": self._summed,
            "unconverged": self._unconverged,
            "waiting": np.array(
                [to_host(epoch) for epoch in self._waiting], dtype=np.float32
            ).reshape(shape),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint of a measure made with the same parameters."""
        if state["identity"] != self._identity():
            raise InputError(
                where="checkpoint", expected="the same channels, bands and epochs", got="others"
            )
        self._cutter.restore(state["cutter"])
        self._sums = np.array(state["sums"], dtype=np.float64)
        self._summed = int(state["summed"])
        self._unconverged = int(state["unconverged"])
        self._waiting = [np.array(epoch, dtype=np.float32) for epoch in state["waiting"]]

    def _add(self, epochs: Sequence[Any]) -> None:
        for epoch in epochs:
            if not is_device(epoch):
                _check_finite(bool(np.isfinite(epoch).all()))
            self._waiting.append(copied(epoch))
            if len(self._waiting) >= (_TOGETHER_ON_DEVICE if is_device(epoch) else _TOGETHER):
                found, unconverged = self._correlate(self._waiting)
                self._sums = _sum(self._sums, found)
                self._unconverged += unconverged
                self._summed += len(self._waiting)
                self._waiting = []

    def _correlate(self, epochs: Sequence[Any]) -> tuple[Any, int]:
        """Return the sum of the epochs' correlations, axes (band, pair), and the unconverged."""
        n_bins = max((window.n_bins for window in self._windows), default=1)
        last = epochs[-1] if epochs else None
        if is_device(last):
            return self._correlate_there([to_device(e, like=last) for e in epochs], n_bins)
        spectra = [epoch_spectrum(epoch, self._taper, self._threads, n_bins) for epoch in epochs]
        work = [(band, spectrum) for spectrum in spectra for band in range(len(self.bands))]

        def one(item: tuple[int, npt.NDArray[np.complex64]]) -> tuple[Any, int]:
            return self._pairs(analytic(item[1], self._windows[item[0]])[None])

        total, unconverged = np.zeros((len(self.bands), self._sums.shape[1])), 0
        for (band, _), (pairs, missed) in zip(work, parallel_map(one, work, self._threads)):
            total[band] += pairs
            unconverged += missed
        return total, unconverged

    def _correlate_there(self, epochs: Sequence[Any], n_bins: int) -> tuple[Any, int]:
        """Return the same on the epochs' device, from all of them in one go for each band."""
        xp = namespace(epochs[0])
        together = xp.stack(epochs, axis=0)
        _check_finite(bool(to_host(xp.reshape(xp.all(xp.isfinite(together)), (1,)))[0]))
        spectra = epoch_spectrum(together, self._taper, self._threads, n_bins)
        found = [self._pairs(analytic(spectra, window)) for window in self._windows]
        return xp.stack([pairs for pairs, _ in found], axis=0), sum(n for _, n in found)

    def _pairs(self, signals: Any) -> tuple[Any, int]:
        """Return the sum over epochs of one band's correlations, and how many did not converge."""
        xp = namespace(signals)
        if self.orthogonalize == "pairwise":
            return xp.sum(envelope_correlation(signals, absolute=self.absolute), axis=0), 0
        total: Any = 0.0
        unconverged = 0
        for epoch in range(signals.shape[0]):
            pairs, found = symmetric_envelope_correlation(signals[epoch, ...])
            total = total + (xp.abs(pairs) if self.absolute else pairs)
            unconverged += not found.converged
        return total, unconverged

    def _identity(self) -> dict[str, Any]:
        return {
            "names": list(self.picks.names),
            "sfreq": self.picks.sfreq,
            "bands": {name: list(band) for name, band in self.bands.items()},
            "length": self._cutter.length,
            "edge": self.edge,
            "absolute": self.absolute,
            "oversampling": self.oversampling,
            "orthogonalize": self.orthogonalize,
        }


def _sum(sums: Any, more: Any) -> Any:
    """Return the sum of two arrays where either is, on the device rather than the host."""
    like = more if is_device(more) else sums
    return to_device(sums, like=like) + to_device(more, like=like)


def _check_finite(finite: bool) -> None:
    if not finite:
        raise InputError(
            where="block",
            expected="finite samples outside the masks",
            got="NaN or infinity",
            fix="mask them before they are measured",
        )
