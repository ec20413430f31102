"""The running state of Tsss: windows of the grid, parts of windows joined, masks."""

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

    A window goes out when the next one is complete, since the segment might end in that one;
    the part of a window that a segment begins with waits for the window after it as well.
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
        self.latency = 3 * window / source.sfreq
        #: what was done so far, in order
        self.windows: list[WindowReport] = []
        self._window, self._least = window, least
        self._correlation, self._threads = correlation, n_threads
        self._regrid = Regrid(window)
        self._held: RawBlock | None = None
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
            "windows": [asdict(w) for w in self.windows],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint."""
        self._regrid.restore(state["regrid"], self.info)
        self.windows = [WindowReport(**w) for w in state["windows"]]
        self._held = None
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
        """Take a window of the grid, or the part of one that a segment begins or ends with."""
        held, out = self._held, []
        if held is not None and piece.start != held.stop:
            out = self._flush()
        elif held is not None:
            if min(held.data.shape[1], piece.data.shape[1]) < self._window:
                data = np.concatenate([held.data, piece.data], axis=1)
                masks = normal_masks(held.masks + piece.masks, held.start, piece.stop)
                self._held = RawBlock(data, self.info, held.start, masks)
                return []
            out = self._flush()
        self._held = piece
        return out

    def _flush(self) -> list[Block]:
        """Separate what is held and hand it out in blocks that end on the grid."""
        held, self._held = self._held, None
        if held is None:
            return []
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
        if cleaned.data.shape == data.shape and isinstance(rows, slice):
            data = cleaned.data
        else:
            data = np.array(data)
            data[rows] = cleaned.data
        self.windows.append(
            WindowReport(held.start, held.stop, cleaned.n_removed, cleaned.temporal)
        )
        masks = held.masks + self._spoilt(held, cleaned.usable)
        return self._cut(data, held.start, masks)

    def _spoilt(self, held: RawBlock, usable: npt.NDArray[np.bool_]) -> tuple[Mask, ...]:
        """Return masks of all channels where too few channels are left to say anything."""
        return tuple(
            Mask(None, held.start + a, held.start + b, _cause(held, held.start + a))
            for a, b in true_runs(~usable)
        )

    def _cut(
        self, data: npt.NDArray[np.float32], start: int, masks: tuple[Mask, ...]
    ) -> list[Block]:
        out, at, stop = [], start, start + data.shape[1]
        while at < stop:
            end = min(stop, (at // self._window + 1) * self._window)
            part = np.ascontiguousarray(data[:, at - start : end - start])
            out.append(Block(part, self.info, at, normal_masks(masks, at, end)))
            at = end
        return out


def _cause(held: RawBlock, at: int) -> Cause:
    return next(m.cause for m in held.masks if m.start <= at < m.stop)
