"""The running state of FusedFir: segments, bridging, two filters, masks."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.block import Block, Cause, Mask, RawBlock
from brainforge.bridging import bridge, non_finite_masks, trailing_run
from brainforge.info import Info
from brainforge.kernels.namespace import copied, namespace, rows_of, to_device, to_host
from brainforge.kernels.two_stage import TwoStage
from brainforge.masks import bad_samples, masks_from_state, masks_to_state, normal_masks
from brainforge.regrid import Regrid
from brainforge.stages.counts import Counts, Rows
from brainforge.stages.fir_cascade import FirCascade


def main_lobe(impulse: npt.NDArray[np.float64]) -> int:
    """Return the samples from the centre of a symmetric response to its first zero."""
    half = impulse[len(impulse) // 2 :]
    crossings = np.flatnonzero(half * np.sign(half[0]) <= 0)
    return int(crossings[0]) if len(crossings) else len(half)


class FusedFirStep:
    """`FusedFir` bound to an Info.

    A sample goes out when the grid cell that it lies in, and as many more cells as half the
    filter needs, have come in: ``latency`` is that time at worst, in seconds.
    """

    def __init__(
        self,
        source: Info,
        info: Info,
        design: TwoStage,
        grid: int,
        *,
        max_bridge: int,
        offsets: dict[str, float],
        n_threads: int,
    ) -> None:
        self.source, self.info, self.design = source, info, design
        reach = design.half_length + max_bridge
        self.latency = (grid + -(-reach // grid) * grid) / source.sfreq
        #: delay of the filters alone, which the time stamps already account for
        self.filter_delay = design.half_length / source.sfreq
        self._max_bridge = max_bridge
        self._rows = source.rows(info.names)
        self._channels = {name: i for i, name in enumerate(info.names)}
        self._widen = main_lobe(design.impulse())
        self._regrid = Regrid(grid)
        self._cascade = FirCascade(
            design,
            grid // design.k,
            np.array([source.channel(n).working_cal for n in info.names]),
            n_threads,
        )
        self._given = offsets
        self._offset: npt.NDArray[np.float64] | None = None
        self._pending: RawBlock | None = None
        self._last: npt.NDArray[Any] | None = None
        self._stop: int | None = None
        self._masks: tuple[Mask, ...] = ()

    @property
    def offset(self) -> npt.NDArray[np.float64] | None:
        """Counts taken off before float32, axes (channel,); None before the first sample."""
        return self._offset

    def process(self, block: RawBlock) -> list[Block]:
        """Take one block, return what is ready."""
        return [out for cell in self._regrid.process(block) for out in self._take(cell)]

    def finish(self) -> list[Block]:
        """Return what is left when the stream has ended."""
        out = [out for cell in self._regrid.finish() for out in self._take(cell)]
        return out + self._end_segment()

    def state(self) -> dict[str, Any]:
        """Return a checkpoint (arrays and JSON-ready values)."""
        pending = self._pending
        return {
            "regrid": self._regrid.state(),
            "cascade": self._cascade.state(),
            "offset": _copied(self._offset),
            "last": _copied(self._last),
            "stop": self._stop,
            "masks": masks_to_state(self._masks),
            "pending": None
            if pending is None
            else [np.array(to_host(pending.data)), pending.start, masks_to_state(pending.masks)],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint."""
        self._regrid.restore(state["regrid"], self.source)
        self._cascade.restore(state["cascade"])
        self._offset, self._last = _copied(state["offset"]), _copied(state["last"])
        self._stop = state["stop"]
        self._masks = masks_from_state(state["masks"])
        self._pending = None
        if state["pending"] is not None:
            data, start, masks = state["pending"]
            self._pending = RawBlock(np.array(data), self.source, start, masks_from_state(masks))

    def _take(self, cell: RawBlock) -> list[Block]:
        """Take one cell of the grid, or the part of one that a gap has left."""
        cell = RawBlock(
            cell.data, cell.info, cell.start, cell.masks + non_finite_masks(cell, self._rows)
        )
        out: list[Block] = []
        if self._stop is not None and cell.start > self._stop + self._max_bridge:
            out = self._end_segment()
        piece = self._joined(cell)
        self._stop = piece.stop
        if not self._cascade.running and piece.data.shape[1] <= self.design.half_length:
            self._pending = _kept(piece, piece.start)
            return out
        touched, bad = bad_samples(piece, self._channels)
        hold = trailing_run(bad, self._max_bridge)
        if hold:
            self._pending = _kept(piece, piece.stop - hold)
            piece, bad = _cut(piece, piece.stop - hold), bad[:, :-hold]
        if piece.data.shape[1]:
            self._push(piece, touched, bad)
        return out + self._emit()

    def _joined(self, cell: RawBlock) -> RawBlock:
        """Return the cell behind what was held back and behind the bridge over a short gap."""
        xp = namespace(cell.data)
        parts, masks, start = [], cell.masks, cell.start
        if self._pending is not None:
            start, masks = self._pending.start, self._pending.masks + masks
            parts.append(self._pending.data)
            self._pending = None
        if self._stop is not None and cell.start > self._stop:
            if not parts:
                start = self._stop
            shape = (cell.data.shape[0], cell.start - self._stop)
            parts.append(xp.zeros(shape, dtype=cell.data.dtype, device=cell.data.device))
            masks += (Mask(None, self._stop, cell.start, Cause.GAP),)
        if not parts:
            return cell
        return RawBlock(xp.concat([*parts, cell.data], axis=1), cell.info, start, masks)

    def _push(self, piece: RawBlock, touched: Rows, bad: npt.NDArray[np.bool_]) -> None:
        """Bridge what is masked and hand the piece to the filters."""
        patch = piece.data[:0, :]
        if len(touched):
            # bridging is done at home: few rows are ever touched
            patch = np.array(to_host(rows_of(piece.data, self._rows[touched])))
            left = None if self._last is None else to_host(self._last)[touched]
            bridge(patch, bad, left, self._max_bridge)
            patch = to_device(patch, like=piece.data)
        counts = Counts(piece.data, self._rows, touched, patch)
        self._note(piece.masks)
        if self._offset is None:
            self._offset = self._first_offset(counts)
        if not self._cascade.running:
            self._cascade.begin(piece.start, counts, self._offset)
        self._cascade.feed(counts)
        self._last = counts.take(slice(-1, None))[:, 0]

    def _first_offset(self, counts: Counts) -> npt.NDArray[np.float64]:
        every = max(counts.n_samples // 2048, 1)
        some = to_host(counts.take(slice(None, None, every)))
        offset = np.median(some, axis=1).astype(np.float64)
        for name, value in self._given.items():
            if name in self.info.names:
                offset[self.info.index(name)] = value
        return offset

    def _note(self, masks: tuple[Mask, ...]) -> None:
        """Keep the masks in output samples, widened by the main lobe of the filters."""
        k, names = self.design.k, set(self.info.names)
        found = []
        for mask in masks:
            channels = mask.channels
            if channels is not None:
                channels = tuple(n for n in channels if n in names)
            if channels == ():
                continue
            start = -((self._widen - mask.start) // k)
            stop = (mask.stop - 1 + self._widen) // k + 1
            found.append(Mask(channels, start, stop, mask.cause))
        self._masks += tuple(found)

    def _emit(self) -> list[Block]:
        out = []
        for start, data in self._cascade.ready():
            stop = start + data.shape[1]
            masks = normal_masks(self._masks, start, stop)
            out.append(Block(data, self.info, start, masks))
            self._masks = tuple(m for m in self._masks if m.stop > stop)
        return out

    def _end_segment(self) -> list[Block]:
        if self._pending is not None:
            piece, self._pending = self._pending, None
            self._push(piece, *bad_samples(piece, self._channels))
        if self._cascade.running:
            self._cascade.end()
        out = self._emit()
        self._last, self._stop, self._masks = None, None, ()
        return out


def _copied(array: npt.NDArray[Any] | None) -> npt.NDArray[Any] | None:
    return None if array is None else np.array(to_host(array))


def _cut(piece: RawBlock, stop: int) -> RawBlock:
    masks = normal_masks(piece.masks, piece.start, stop)
    return RawBlock(piece.data[:, : stop - piece.start], piece.info, piece.start, masks)


def _kept(piece: RawBlock, start: int) -> RawBlock:
    masks = normal_masks(piece.masks, start, piece.stop)
    return RawBlock(copied(piece.data[:, start - piece.start :]), piece.info, start, masks)
