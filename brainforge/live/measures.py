"""LiveMeasures: everything that is measured on the immediate path, moved on block by block."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.backend import Backend
from brainforge.block import Block
from brainforge.info import Info
from brainforge.live.averages import LockedAverages
from brainforge.live.feedback import Feedback
from brainforge.live.heart import HeartRate
from brainforge.live.recent import Bad, Recent
from brainforge.live.spectra import LiveSpectra
from brainforge.masks import bad_samples
from brainforge.measures.rolling import Rolling, RollingMeasure
from brainforge.pipeline.grid import decimation
from brainforge.recipe import Recipe

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
#: kinds shown beside the MEG channels, filtered only
AUX_KINDS = ("eeg", "eog", "ecg", "emg")
#: seconds between two windows of the rolling measures, and what share of them has to be believed
STEP_S, LEAST = 0.25, 0.75


class LiveMeasures:
    """Rolling connectivity, spectra, averages, heart and feedback of one stream.

    Parameters
    ----------
    recipe : Recipe
    filtered : Info
        Of the filtered blocks: all signal channels.
    info : Info
        Of the cleaned blocks: the MEG channels.
    delay : int
        Samples by which the filter delays the signal.
    backend : Backend
    """

    def __init__(
        self, recipe: Recipe, filtered: Info, info: Info, delay: int, backend: Backend
    ) -> None:
        live, n, sfreq = recipe.live, info.n_channels, info.sfreq
        self.info = info
        self._rows = {name: i for i, name in enumerate(info.names)}
        self._filtered = {name: i for i, name in enumerate(filtered.names)}
        self.decim = decimation(sfreq, recipe.filter.working_rate_min)
        #: rate of traces and spectra in Hz
        self.sfreq = rate = sfreq / self.decim
        self.averages = LockedAverages(
            n, sfreq, step=self.decim, tmin=live.epoch_tmin, tmax=live.epoch_tmax,
            delay=delay, most=live.max_conditions,
        )  # fmt: skip
        self._full = Recent(n, self.averages.reach)
        self.spectra = LiveSpectra(n, rate)
        #: cleaned, at the working rate
        self.working = Recent(n, self.spectra.n_window + 2 * self.spectra.step)
        self.aux_info = filtered.pick(filtered.names_of(*AUX_KINDS))
        self._aux_rows = filtered.rows(self.aux_info.names)
        #: the channels of `AUX_KINDS`, filtered, at the working rate
        self.aux = Recent(len(self._aux_rows), self.working.size)
        bands = {name: (low, high) for name, (low, high, _) in recipe.bands.items()}
        self.rolling = RollingMeasure(
            info, backend, bands=bands, picks=info.names, hop_s=STEP_S, least=LEAST
        )
        self.heart = HeartRate(rate)
        ecg = filtered.names_of("ecg", bads=False)
        #: the ECG channel that the heart is looked for in; None where there is none
        self.ecg = ecg[0] if ecg else None
        self.feedback = None
        if live.feedback != "none":
            self.feedback = Feedback(recipe, filtered.pick(info.names), rate)
        self._power = -1, np.zeros((0, 0))
        #: first sample, and one past the newest
        self.begin: int | None = None
        self.stop = 0
        self._believed, self._expected = 0, 0
        #: channels whose newest sample is masked
        self.masked: tuple[str, ...] = ()

    def filtered(self, block: Block, heart: F32 | None) -> None:
        """Take a filtered block, and the trace of the heart in it at the source's rate."""
        if len(self._aux_rows):
            self._decimated(self.aux, block.start, block.data[self._aux_rows], None)
        touched, bad = bad_samples(block, self._filtered)
        lost = bad.sum() / block.data.size
        if self.ecg is not None:
            heart = block.data[self._filtered[self.ecg]]
            lost = bad[touched == self._filtered[self.ecg]].sum() / len(heart)
        if heart is not None:
            every = np.zeros(1, np.intp), np.ones((1, len(heart)), bool)
            some = None if lost < 1.0 - LEAST else every
            self._decimated(self.heart.trace, block.start, heart[None], some)

    def cleaned(self, block: Block) -> int:
        """Take a cleaned block; return the first new sample at the working rate."""
        if self.begin is None:
            self.begin = self.stop = block.start
        touched, bad = bad_samples(block, self._rows)
        self._believed += block.data.size - int(np.count_nonzero(bad))
        self._expected += (block.stop - self.stop) * len(block.data)
        self.masked = tuple(self.info.names[i] for i in touched[bad[:, -1]])
        some = (touched, bad) if len(touched) else None
        self._full.put(block.start, block.data, some)
        new = self._decimated(self.working, block.start, block.data, some)
        self.rolling.update(block)
        self._windows(new)
        self.averages.update(self._full)
        self.stop = block.stop
        return new

    def forget(self) -> None:
        """Begin what fades anew; averages go on."""
        self.rolling.forget()
        self.spectra.forget()

    @property
    def bands(self) -> dict[str, list[float]]:
        """Lowest and highest frequency of every band that fits, in Hz."""
        edges = zip(self.rolling.bands, self.rolling.plan.bands, strict=True)
        return {name: [low, high] for name, (low, high) in edges}

    def band_means(self) -> F32:
        """Return the fading spectra's mean over every band, axes (band, channel)."""
        psd, freqs = self.spectra.psd(), self.spectra.freqs
        inside = [(freqs >= low - 1e-9) & (freqs <= high + 1e-9) for low, high in
                  self.rolling.plan.bands]  # fmt: skip
        return np.stack([psd[:, some].mean(axis=1) for some in inside])

    def power(self) -> F64:
        """Return the mean density of every band in the last window, axes (channel, band)."""
        if self._power[0] != self.rolling.stop:
            self._power = self.rolling.stop, self.rolling.power()
        return self._power[1]

    def connectivity(self, bads: Sequence[str]) -> Rolling:
        """Return all-to-all connectivity; a feedback value that rests on it moves on."""
        rolling = self.rolling.result()
        if self.feedback is not None and self.feedback.kind != "power":
            self.feedback.connectivity(rolling, bads, self.coverage(2.0))
        return rolling

    def coverage(self, seconds: float) -> float:
        """Return the share of the last channel-samples that could be believed, 0 to 1."""
        stop = self.working.stop
        if stop is None or self.begin is None:
            return 0.0
        begin = -(-self.begin // self.decim)
        start = max(stop - min(round(seconds * self.sfreq), self.working.size), begin)
        return self.working.coverage(start, max(start, stop))

    @property
    def share(self) -> float:
        """Share of all channel-samples since the start that could be believed, gaps included."""
        return self._believed / self._expected if self._expected else 0.0

    def state(self) -> dict[str, Any]:
        """Return a checkpoint."""
        return {
            "recent": [r.state() for r in (self._full, self.working, self.aux)],
            "rolling": self.rolling.state(),
            "spectra": self.spectra.state(),
            "averages": self.averages.state(),
            "heart": self.heart.state(),
            "feedback": None if self.feedback is None else self.feedback.state(),
            "at": [self.begin, self.stop, self._believed, self._expected],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint."""
        for recent, kept in zip((self._full, self.working, self.aux), state["recent"]):
            recent.restore(kept)
        self.rolling.restore(state["rolling"])
        self.spectra.restore(state["spectra"])
        self.averages.restore(state["averages"])
        self.heart.restore(state["heart"])
        if self.feedback is not None:
            self.feedback.restore(state["feedback"])
        self.begin, self.stop, self._believed, self._expected = state["at"]

    def _decimated(self, recent: Recent, start: int, data: F32, bad: Bad | None) -> int:
        """Keep every n-th sample of the absolute grid; return where the new ones begin."""
        first = -(-start // self.decim)
        part = slice(first * self.decim - start, None, self.decim)
        recent.put(first, data[:, part], None if bad is None else (bad[0], bad[1][:, part]))
        return first

    def _windows(self, new: int) -> None:
        """Take the windows of the spectra that are complete since working sample ``new``."""
        stop, spectra = self.working.stop, self.spectra
        assert stop is not None
        first = max(new, stop - (self.working.size - spectra.n_window)) // spectra.step
        for i in range(first + 1, stop // spectra.step + 1):
            spectra.update(self.working, i * spectra.step)
