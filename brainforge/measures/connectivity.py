"""Spectral connectivity of all pairs, accumulated in one pass over blocks of any size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Self

from brainforge.backend import Backend
from brainforge.block import Block
from brainforge.errors import InputError
from brainforge.info import Info
from brainforge.kernels.connectivity.finish import METHODS, check_methods
from brainforge.measures.bands import BANDS, ENOUGH_EPOCHS, epoch_duration, fit_bands
from brainforge.measures.epochs import EpochCutter, rejected_intervals
from brainforge.measures.pair_spectra import PairSpectra
from brainforge.measures.picks import Picks
from brainforge.result import Connectivity

DEFAULT_METHODS = ("coh", "imcoh", "plv", "pli", "wpli", "wpli2_debiased")


class ConnectivityMeasure:
    """All-to-all spectral connectivity by band.

    Epochs lie on the absolute grid without overlap: epoch e covers samples [e * L, (e + 1) * L).
    An epoch is left out for all channels when a gap or an all-channel mask touches it, and also
    when a mask of any picked channel does; a channel that is masked often should be repaired or
    left out of ``picks`` before. About 0.3 GB for 306 channels and five bands. Blocks may be on a
    device: all but the result stays there.

    Parameters
    ----------
    info : Info
        Of the blocks to come (working rate).
    backend : Backend
    bands : mapping of str to (low, high)
        In Hz. Bands that do not fit under the Nyquist frequency shrink or are left out.
    methods : sequence of str
        Names of `brainforge.kernels.connectivity.finish.METHODS`.
    picks : sequence of str | None
        Channel names; None for all good MEG channels (EEG where there is no MEG).
    epoch_durations : mapping of str to float
        Seconds by band, where they differ from `epoch_duration` (4 s for delta, else 2 s).
    mode : {"fourier", "multitaper"}
        A Hann window, or seven DPSS tapers.
    most_pending : int | None
        Epochs that may gather before they go to the sums. None is fastest for one result at the
        end; a few (say 8) for a result after every epoch, which goes through all that gathered.

    Raises
    ------
    InputError
        For an unknown method or channel, a band that reaches below 0 Hz or holds no FFT bin of
        its epochs, or an epoch without a sample.
    """

    def __init__(
        self,
        info: Info,
        backend: Backend | None = None,
        *,
        bands: Mapping[str, tuple[float, float]] = BANDS,
        methods: Sequence[str] = DEFAULT_METHODS,
        picks: Sequence[str] | None = None,
        epoch_durations: Mapping[str, float] | None = None,
        mode: str = "fourier",
        most_pending: int | None = None,
    ) -> None:
        self.picks = Picks(info, picks)
        self.bands = fit_bands(bands, info.sfreq)
        self.methods, self.mode = check_methods(methods), mode
        if most_pending is not None and most_pending < 1:
            raise InputError(
                where="most_pending", expected="at least one epoch, or None", got=str(most_pending)
            )
        self._most_pending = most_pending
        threads = (backend or Backend()).threads
        chosen = epoch_durations or {}
        by_length: dict[int, dict[str, tuple[float, float]]] = {}
        for name, band in self.bands.items():
            seconds = chosen.get(name, epoch_duration(band[0]))
            by_length.setdefault(round(seconds * info.sfreq), {})[name] = band
        n = len(self.picks.names)
        self._lengths = {name: length for length, some in by_length.items() for name in some}
        self._cutters = {length: EpochCutter(n, length) for length in by_length}
        self._spectra = {
            length: PairSpectra(
                n, info.sfreq, length, some, self.methods, mode, threads, most_pending
            )
            for length, some in by_length.items()
        }

    def update(self, block: Block) -> None:
        """Take one block.

        Raises
        ------
        InputError
            Where the block lacks a channel, has another rate, holds samples that came before
            or values that are neither finite nor masked.
        """
        data = self.picks.data(block)
        rejected = rejected_intervals(block, self.picks.name_set)
        for length, cutter in self._cutters.items():
            self._spectra[length].add(cutter.push(data, block.start, rejected))

    def merge(self, other: Self) -> None:
        """Add what another instance has seen of other stretches; ``other`` is left as it is.

        An epoch of which either has seen a part is whole again.
        """
        if self._identity() != other._identity():
            raise InputError(
                where="merge",
                expected="a measure of the same channels, bands, epochs and methods",
                got="another one",
            )
        for length, cutter in self._cutters.items():
            met = cutter.merge(other._cutters[length])
            self._spectra[length].merge(other._spectra[length])
            self._spectra[length].add(met)

    @property
    def n_epochs(self) -> dict[str, int]:
        """Number of epochs that each band rests on so far."""
        return {name: self._spectra[length].n_epochs for name, length in self._lengths.items()}

    def result(self) -> Connectivity:
        """Return the connectivity of all seen so far; imcoh and dpli are not symmetric."""
        values: dict[str, dict[str, Any]] = {method: {} for method in self.methods}
        for spectra in self._spectra.values():
            for method, by_band in spectra.finish().items():
                values[method].update(by_band)
        in_order = {
            m: {band: by_band[band] for band in self.bands} for m, by_band in values.items()
        }
        window = {"fourier": "Hann window", "multitaper": "seven DPSS tapers"}[self.mode]
        few = [f"{band} {n}" for band, n in self.n_epochs.items() if n < ENOUGH_EPOCHS]
        notice = f"; collecting, of {ENOUGH_EPOCHS} epochs: {', '.join(few)}" if few else ""
        texts = {
            m: f"{METHODS[m].text}; {window}, mean over the band's bins{notice}"
            for m in self.methods
        }
        return Connectivity(self.picks.names, dict(self.bands), self.n_epochs, in_order, texts)

    def state(self) -> dict[str, Any]:
        """Return a checkpoint."""
        parts = {
            str(length): {"cutter": cutter.state(), "spectra": self._spectra[length].state()}
            for length, cutter in self._cutters.items()
        }
        return {"identity": self._identity(), "lengths": parts}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint of a measure made with the same parameters."""
        if state["identity"] != self._identity():
            raise InputError(
                where="checkpoint",
                expected="the same channels, bands, epochs and methods",
                got="others",
            )
        for length, cutter in self._cutters.items():
            part = state["lengths"][str(length)]
            cutter.restore(part["cutter"])
            self._spectra[length].restore(part["spectra"])

    def _identity(self) -> dict[str, Any]:
        return {
            "names": list(self.picks.names),
            "sfreq": self.picks.sfreq,
            "bands": {name: list(band) for name, band in self.bands.items()},
            "lengths": dict(self._lengths),
            "methods": list(self.methods),
            "mode": self.mode,
            "most_pending": self._most_pending,
        }


def combined(first: Connectivity, *others: Connectivity) -> Connectivity:
    """Return one Connectivity with the measures of several over the same channels and bands.

    ``n_epochs`` holds the counts of ``first`` by band, and those of the measures of the others
    as ``"MEASURE_BAND"``.

    Raises
    ------
    InputError
        Where the channels differ.
    """
    for other in others:
        if other.channel_names != first.channel_names:
            raise InputError(
                where="connectivity", expected="the same channels in all parts", got="others"
            )
        first = replace(
            first,
            values={**first.values, **other.values},
            methods={**first.methods, **other.methods},
            n_epochs={
                **first.n_epochs,
                **{f"{m}_{b}": n for m in other.values for b, n in other.n_epochs.items()},
            },
        )
    return first
