"""Pass 1: judge the raw samples, filter, decimate, and keep the working copy with its sums."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.backend import Backend
from brainforge.block import Block, RawBlock, good_samples
from brainforge.device import open_device
from brainforge.info import Info
from brainforge.kernels.psd import WelchPlan, welch_sums
from brainforge.kernels.sinusoids import estimate_line_freq
from brainforge.measures.gram import GramMeasure
from brainforge.measures.muscle import MuscleMeasure
from brainforge.measures.psd import WelchMeasure
from brainforge.measures.raw_quality import RawQualityMeasure
from brainforge.pipeline.grid import decimation, grid_size
from brainforge.pipeline.lane import Gate, Lane
from brainforge.pipeline.summaries import line_level_db
from brainforge.recipe import Recipe
from brainforge.regrid import Regrid
from brainforge.shelf import Shelf
from brainforge.stages.fir import FusedFir
from brainforge.units import MEG_KINDS
from brainforge.working_copy import WorkingCopy

Floats = npt.NDArray[np.float64]
#: steps of a spectrum in which the mains can be told from its neighbours
COARSEST_HZ = 2.0


@dataclass
class Seen:
    """Which source samples came: continuous stretches as [start, stop)."""

    segments: list[tuple[int, int]]

    def add(self, block: RawBlock) -> None:
        """Take note of a block."""
        if self.segments and self.segments[-1][1] == block.start:
            self.segments[-1] = (self.segments[-1][0], block.stop)
        else:
            self.segments.append((block.start, block.stop))

    @property
    def n_samples(self) -> int:
        """Number of samples seen, gaps not counted."""
        return sum(b - a for a, b in self.segments)

    @property
    def gaps(self) -> tuple[tuple[int, int], ...]:
        """Stretches between the first and the last sample that did not come."""
        ends = [b for _, b in self.segments[:-1]]
        return tuple(zip(ends, (a for a, _ in self.segments[1:]), strict=True))


class FirstPass:
    """Takes grid blocks of raw samples, in order; keeps what the learners need.

    Parameters
    ----------
    recipe : Recipe
    info : Info
        Of the source. Where its mains frequency is unknown it is estimated from the first
        block, so the answer cannot depend on how the stream was cut.
    backend : Backend
    folder : str | None
        Where the working copy lives.
    gate : Gate | None
        Of whoever reads the blocks, so that reading shares the threads too.
    lasting : bool
        Whether the blocks fed stay as they are after `feed` has returned. If not (a source that
        reuses its buffer) `feed` waits until they have been used.
    shelf : Shelf | None
        Where the working copy and all else that grows with the recording goes, if it is to
        outlive the process (on the CPU); whoever gave it closes it.
    """

    def __init__(
        self,
        recipe: Recipe,
        info: Info,
        backend: Backend,
        folder: str | None = None,
        *,
        gate: Gate | None = None,
        lasting: bool = False,
        shelf: Shelf | None = None,
    ) -> None:
        self.recipe, self.backend, self.folder = recipe, backend, folder
        self.info, self._source, self._shelf = info, info, shelf
        self.decim = decimation(info.sfreq, recipe.filter.working_rate_min)
        # reading, judging, filtering and summing each in a lane of its own; they share the threads
        self._gate = gate or Gate(backend)
        self._shared = self._gate.backend
        self.raw_quality = RawQualityMeasure(info, self._shared)
        self.muscle = (
            MuscleMeasure(info, self._shared, shelf=shelf) if recipe.quality.muscle else None
        )
        self.device = open_device(backend)
        self._regrid = Regrid(grid_size(info.sfreq, self.decim))
        self._bound = False
        self._lasting = lasting
        self._filtering, self._summing = Lane("filter", self._gate), Lane("sums", self._gate)

    def feed(self, raw: RawBlock) -> None:
        """Take a block of any size."""
        for block in self._regrid.process(raw):
            self._take(block)
        if not self._lasting:
            self._drain()

    def finish(self) -> None:
        """Flush what is left in the filters."""
        for block in self._regrid.finish():
            self._take(block)
        self._drain()
        for out in self._fir.finish():
            self._keep(out)

    def close(self) -> None:
        """Stop the lanes and delete the working copy."""
        self._filtering.close()
        self._summing.close()
        if self._bound:
            self.working.close()
        self.device.release()

    def _drain(self) -> None:
        self._filtering.drain()
        self._summing.drain()

    def line_db(self, names: tuple[str, ...]) -> Floats:
        """Return the mains level of the raw signal over its neighbours in dB, (channel,)."""
        level = line_level_db(self._raw.freqs, self._raw.psd, self.info.line_freq)
        rows = [self._raw.names.index(n) for n in names]
        return np.asarray(level[rows], dtype=np.float64)

    def peak_to_peak(self, names: tuple[str, ...]) -> Floats:
        """Return the range of the raw signal in working units, (channel,)."""
        raw = self.raw_quality.result()
        rows = [raw.names.index(n) for n in names]
        spread = (raw.statistics.highest - raw.statistics.lowest)[rows]
        cal = np.array([abs(self.info.channel(n).working_cal) for n in names], dtype=np.float64)
        return np.asarray(spread * cal, dtype=np.float64)

    def describe(self) -> str:
        """Return what was done to the signal, as a sentence."""
        f, out = self.recipe.filter, self.working.info
        notch = (
            f", notches at multiples of {self.info.line_freq:g} Hz"
            if f.notch and self.info.line_freq
            else ""
        )
        return (
            f"Zero-phase FIR {f.l_freq:g}-{min(f.h_freq, out.lowpass):g} Hz{notch}, "
            f"{self.info.sfreq:g} to {out.sfreq:g} Hz (one in {self.decim})."
        )

    def state(self) -> dict[str, Any]:
        """Return a checkpoint between two calls of `feed`; what is under way is waited for.

        It needs a shelf. What grows with the recording lies there, and the state says where.
        """
        self._drain()
        state: dict[str, Any] = {
            "regrid": self._regrid.state(),
            "raw_quality": self.raw_quality.state(),
            "muscle": None if self.muscle is None else self.muscle.state(),
            "bound": None,
        }
        if self._bound:
            keep = np.array if self._shelf is None else self._shelf.keep
            state["bound"] = {
                "freqs": keep(self._raw.freqs),
                "raw": keep(self._raw.psd),
                "fir": self._fir.state(),
                "working": self.working.state(),
                "gram": self.gram.state(keep),
                "psd": self.psd.state(),
            }
        return state

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint, on the same shelf."""
        self._regrid.restore(state["regrid"], self._source)
        self.raw_quality.restore(state["raw_quality"])
        if self.muscle is not None:
            self.muscle.restore(state["muscle"])
        if state["bound"] is None:
            return
        bound = state["bound"]
        if self._shelf is not None:
            filled = self._shelf.filled
            bound = {**bound, **{k: filled(bound[k]) for k in ("freqs", "raw", "gram")}}
        self._bind(RawSpectrum(self._source.names_of(*MEG_KINDS), bound["freqs"], bound["raw"]))
        self._fir.restore(bound["fir"])
        self.working.restore(bound["working"])
        self.gram.restore(bound["gram"])
        self.psd.restore(bound["psd"])

    def _bind(self, raw: RawSpectrum) -> None:
        self._raw = raw
        if self.info.line_freq is None:
            self.info = replace(self.info, line_freq=self._raw.line_freq())
        f = self.recipe.filter
        line = self.info.line_freq if f.notch else None
        self.stage = FusedFir(f.l_freq, f.h_freq, line, decim=self.decim)
        self._fir = self.stage.bind(self.info, self._shared)
        # what does not fit beside the intermediate arrays of a session goes by way of the host
        room = self.device.budget // 2
        self.working = WorkingCopy(
            self._fir.info, self.folder, device_bytes=room, shelf=self._shelf
        )
        self.gram = GramMeasure(self._fir.info, self._shared)
        s, out = self.recipe.spectra, self._fir.info
        self.psd = WelchMeasure(
            out, self._shared, s.segment_s, s.overlap, names=out.names_of(*MEG_KINDS)
        )
        self._bound = True

    def _take(self, block: RawBlock) -> None:
        if not self._bound:
            self._bind(raw_spectrum(block))
        with self._gate:
            # the one copy of the counts to the device; on the CPU nothing is copied
            block = replace(block, data=self.device.put(block.data))
            masks = self.raw_quality.judge(block)
        block = replace(block, masks=block.masks + masks)
        self._filtering.put(self._fir.process, block, then=self._sum)
        if self.muscle is not None:
            with self._gate:
                self.muscle.update(block)

    def _sum(self, block: Block) -> None:
        self._summing.put(self._keep, block)

    def _keep(self, block: Block) -> None:
        self.working.write(block)
        self.gram.update(block)
        self.psd.update(block)


@dataclass(frozen=True)
class RawSpectrum:
    """Spectra of the MEG channels of one raw block, before anything is filtered.

    ``psd`` has axes (channel, frequency) over ``names``, in the variance of each channel.
    """

    names: tuple[str, ...]
    freqs: Floats
    psd: Floats

    def line_freq(self) -> float | None:
        """Return the mains frequency that stands out, 50 or 60 Hz, or None."""
        if len(self.freqs) < 3 or self.freqs[1] > COARSEST_HZ:
            return None  # the stream begins with a block too short to tell
        return estimate_line_freq(self.freqs, self.psd)


def raw_spectrum(raw: RawBlock) -> RawSpectrum:
    """Return spectra of a raw block in windows of a second, masked samples left out."""
    names = raw.info.names_of(*MEG_KINDS)
    rows = raw.info.rows(names)
    x = raw.data[rows].astype(np.float64)
    good = np.isfinite(x) & good_samples(raw.masks, raw.info, raw.start, raw.stop)[rows]
    n = np.maximum(good.sum(axis=1, keepdims=True), 1)
    x = np.where(good, x, 0.0)
    x = np.where(good, x - x.sum(axis=1, keepdims=True) / n, 0.0)
    scale = np.sqrt((x**2).sum(axis=1, keepdims=True) / n)
    x /= np.where(scale > 0, scale, 1.0)
    n_per_seg = min(round(raw.info.sfreq), x.shape[1])
    plan = WelchPlan(raw.info.sfreq, n_per_seg, max(n_per_seg // 2, 1))
    power, count = welch_sums(x.astype(np.float32), plan, good)
    return RawSpectrum(names, plan.freqs, power / np.maximum(count, 1)[:, None])
