"""The running state of Tsss: windows that fade into each other on the grid, masks."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.block import Block, Cause, Mask, RawBlock, good_samples
from brainforge.bridging import non_finite_masks
from brainforge.info import Info
from brainforge.kernels.parallel import single_threaded_blas
from brainforge.kernels.rows import compact, take_rows
from brainforge.kernels.tsss import tsss_window
from brainforge.learners.multipole import Multipoles
from brainforge.masks import masks_from_state, masks_to_state, normal_masks, true_runs
from brainforge.regrid import Regrid
from brainforge.units import to_working


@dataclass(frozen=True)
class WindowReport:
    """What was done to a window: absolute samples, time courses taken off, if any could be."""

    start: int
    stop: int
    n_removed: int
    temporal: bool


class TsssStep:
    """`Tsss` bound to an Info.

    Windows begin at multiples of half their length. One is separated when the next is complete,
    since the last of a segment reaches to its end; its first half then goes out.
    """

    def __init__(
        self,
        source: Info,
        info: Info,
        found: Multipoles,
        window: int,
        least: int,
        correlation: float,
        n_threads: int,
    ) -> None:
        self.source, self.info, self.found = source, info, found
        self.latency = 2 * window / source.sfreq
        #: what was done so far, in order
        self.windows: list[WindowReport] = []
        self._hop, self._least = window // 2, least
        self._correlation, self._threads = correlation, n_threads
        self._regrid = Regrid(self._hop)
        self._rise = np.sin(np.pi * np.arange(self._hop) / (2 * self._hop)) ** 2
        #: samples from the current window on, and what the one before adds to its first half
        self._held: RawBlock | None = None
        self._fading: npt.NDArray[np.float32] | None = None
        self._rows = source.rows(info.names)
        self._rows_at = compact(self._rows)
        self._model_rows = compact(info.rows(found.names))
        channels = [source.channel(n) for n in info.names]
        self._cal = np.array([c.working_cal for c in channels])[:, None]
        self._offset = np.array([c.offset * to_working(c.kind) for c in channels])[:, None]

    def process(self, block: RawBlock | Block) -> list[Block]:
        """Take one block, return what is ready."""
        pieces = self._regrid.process(self._working(block))
        return [out for piece in pieces for out in self._take(piece)]

    def finish(self) -> list[Block]:
        """Return what is left when the stream has ended."""
        out = [out for piece in self._regrid.finish() for out in self._take(piece)]
        return out + self._flush()

    def state(self) -> dict[str, Any]:
        """Return a checkpoint (arrays and JSON-ready values)."""
        held = self._held
        return {
            "regrid": self._regrid.state(),
            "held": None
            if held is None
            else [held.data.copy(), held.start, masks_to_state(held.masks)],
            "fading": None if self._fading is None else self._fading.copy(),
            "windows": [asdict(w) for w in self.windows],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint."""
        self._regrid.restore(state["regrid"], self.info)
        self.windows = [WindowReport(**w) for w in state["windows"]]
        self._held = None
        self._fading = None if state["fading"] is None else np.array(state["fading"])
        if state["held"] is not None:
            data, start, masks = state["held"]
            self._held = RawBlock(np.array(data), self.info, start, masks_from_state(masks))

    def _working(self, block: RawBlock | Block) -> RawBlock:
        """Return a block of the signal channels in working units, non-finite samples masked."""
        masks = block.masks
        if isinstance(block, RawBlock):
            masks += non_finite_masks(block, self._rows)
            data = self._calibrated(block.data)
        else:
            # it may wait for two windows, and a source may reuse its buffer
            data = np.array(take_rows(block.data, self._rows_at), order="C")
        names = set(self.info.names)
        kept = []
        for mask in masks:
            channels = mask.channels
            if channels is not None:
                channels = tuple(n for n in channels if n in names)
            if channels != ():
                kept.append(Mask(channels, mask.start, mask.stop, mask.cause))
        return RawBlock(data, self.info, block.start, tuple(kept))

    def _calibrated(self, data: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        counts = take_rows(data, self._rows_at)
        if self._offset.any():
            return (counts * self._cal + self._offset).astype(np.float32)
        out = np.empty(counts.shape, dtype=np.float32)
        # the product is formed in float64 and rounded once, without a copy in between
        np.multiply(counts, self._cal, out=out, dtype=np.float64, casting="same_kind")
        return out

    def _take(self, piece: RawBlock) -> list[Block]:
        """Take half a window of the grid, or the part of one that a segment begins or ends with."""
        out: list[Block] = []
        if self._held is not None and piece.start != self._held.stop:
            out = self._flush()
        self._held = piece if self._held is None else _joined(self._held, piece)
        # a segment may begin before the first window of the grid
        begin = -(-self._held.start // self._hop) * self._hop
        if self._held.stop >= begin + 3 * self._hop:
            out += self._fade(self._held, begin)
        return out

    def _fade(self, held: RawBlock, begin: int) -> list[Block]:
        """Separate the window that begins at ``begin``, hand out its first half."""
        middle, stop = begin + self._hop, begin + 2 * self._hop
        window = _cut(held, held.start, stop)
        data, usable = self._separated(window)
        n = middle - held.start
        first, second = data[:, :n], data[:, n:]
        self._add_fading(first)
        keep = take_rows(second, self._model_rows) * (1 - self._rise).astype(np.float32)
        self._held, self._fading = _cut(held, middle, held.stop), keep
        masks = window.masks + self._spoilt(window, usable)
        return self._blocks(first, held.start, masks)

    def _flush(self) -> list[Block]:
        """Separate the last window of a segment, which reaches to its end."""
        held, self._held = self._held, None
        if held is None:
            return []
        data, usable = self._separated(held)
        self._add_fading(data[:, : self._hop])
        self._fading = None
        return self._blocks(data, held.start, held.masks + self._spoilt(held, usable))

    def _add_fading(self, first: npt.NDArray[np.float32]) -> None:
        """Let a window rise over what is left of the one before, in place; the first does not."""
        if self._fading is not None:
            rows = self._model_rows
            first[rows] = first[rows] * self._rise.astype(np.float32) + self._fading

    def _separated(self, held: RawBlock) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
        """Return a window after the separation, all channels, and which samples are usable."""
        good, data, rows = None, held.data, self._model_rows
        if held.masks:
            good = good_samples(held.masks, self.info, held.start, held.stop)
            data = np.where(good, data, np.float32(0))
        with single_threaded_blas():
            cleaned = tsss_window(
                take_rows(data, rows),
                self.found.split,
                None if good is None else good[rows],
                correlation=self._correlation,
                min_samples=self._least,
                n_threads=self._threads,
            )
        report = WindowReport(held.start, held.stop, cleaned.n_removed, cleaned.temporal)
        self.windows.append(report)
        if cleaned.data.shape == data.shape and isinstance(rows, slice):
            return cleaned.data, cleaned.usable
        data = np.array(data)
        data[rows] = cleaned.data
        return data, cleaned.usable

    def _spoilt(self, held: RawBlock, usable: npt.NDArray[np.bool_]) -> tuple[Mask, ...]:
        """Return masks of all channels where too few channels are left to say anything."""
        return tuple(
            Mask(None, held.start + a, held.start + b, _cause(held, held.start + a))
            for a, b in true_runs(~usable)
        )

    def _blocks(
        self, data: npt.NDArray[np.float32], start: int, masks: tuple[Mask, ...]
    ) -> list[Block]:
        out, at, stop = [], start, start + data.shape[1]
        while at < stop:
            end = min(stop, (at // self._hop + 1) * self._hop)
            part = np.ascontiguousarray(data[:, at - start : end - start])
            out.append(Block(part, self.info, at, normal_masks(masks, at, end)))
            at = end
        return out


def _joined(a: RawBlock, b: RawBlock) -> RawBlock:
    masks = normal_masks(a.masks + b.masks, a.start, b.stop)
    return RawBlock(np.concatenate([a.data, b.data], axis=1), a.info, a.start, masks)


def _cut(held: RawBlock, start: int, stop: int) -> RawBlock:
    part = held.data[:, start - held.start : stop - held.start]
    return RawBlock(part, held.info, start, normal_masks(held.masks, start, stop))


def _cause(held: RawBlock, at: int) -> Cause:
    return next(m.cause for m in held.masks if m.start <= at < m.stop)
