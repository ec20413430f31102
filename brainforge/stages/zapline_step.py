"""The running state of ZapLine: two cells make a window, windows fade into each other."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.block import Block, RawBlock
from brainforge.info import Info
from brainforge.kernels.zapline import zapline
from brainforge.masks import masks_from_state, masks_to_state, normal_masks
from brainforge.stages.cells import Cells, bridged, judged, masks_of
from brainforge.stages.iir import MAX_BRIDGE_S
from brainforge.stages.working import as_raw

F32 = npt.NDArray[np.float32]


class ZapLineStep:
    """`ZapLine` bound to an Info.

    ``latency``: a sample at the beginning of a cell waits for its end and for the next cell.
    """

    def __init__(
        self,
        source: Info,
        info: Info,
        line_freq: float,
        cell: int,
        *,
        n_remove: int | None,
        half_width: float,
    ) -> None:
        self.source, self.info = source, info
        self.line_freq, self.latency = line_freq, 2 * cell / source.sfreq
        self._n_remove, self._half_width = n_remove, half_width
        self._rows, self._names = source.rows(info.names), frozenset(info.names)
        self._cal = np.array([source.channel(n).working_cal for n in info.names])
        self._longest = round(MAX_BRIDGE_S * source.sfreq)
        self._cells = Cells(source, cell, self._longest)
        self._rise = np.sin(np.pi / 2 * (np.arange(cell) + 0.5) / cell) ** 2
        #: removed components of the last window
        self.n_removed = 0
        self._last: RawBlock | None = None
        self._tail: F32 | None = None

    def process(self, block: RawBlock | Block) -> list[Block]:
        """Take one block, return what is ready."""
        return self._take_all(self._cells.process(as_raw(block)))

    def finish(self) -> list[Block]:
        """Return what is left when the stream has ended."""
        return self._take_all(self._cells.finish())

    def state(self) -> dict[str, Any]:
        """Return a checkpoint (arrays and JSON-ready values)."""
        last = self._last
        return {
            "cells": self._cells.state(),
            "last": None
            if last is None
            else [last.data.copy(), last.start, masks_to_state(last.masks)],
            "tail": None if self._tail is None else self._tail.copy(),
            "n_removed": self.n_removed,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint."""
        self._cells.restore(state["cells"])
        self._last = None
        if state["last"] is not None:
            data, start, masks = state["last"]
            self._last = RawBlock(np.array(data), self.source, start, masks_from_state(masks))
        self._tail = None if state["tail"] is None else np.array(state["tail"])
        self.n_removed = state["n_removed"]

    def _take_all(self, cells: list[RawBlock | None]) -> list[Block]:
        return [out for cell in cells for out in self._take(cell)]

    def _take(self, cell: RawBlock | None) -> list[Block]:
        """Take a cell, or the end of the stretch; return the cell before it, cleaned."""
        cell = None if cell is None else judged(cell, self._rows)
        last, tail = self._last, self._tail
        self._last, self._tail = cell, None
        if last is None:
            return []
        if cell is None:
            return [self._block(last, self._clean(last) if tail is None else tail)]
        clean = self._clean(_joined(last, cell))
        n = last.data.shape[1]
        head, self._tail = clean[:, :n], clean[:, n:].copy()
        if tail is not None:
            head = tail + self._rise.astype(np.float32) * (head - tail)
        return [self._block(last, head)]

    def _clean(self, window: RawBlock) -> F32:
        x, _ = bridged(window, self._rows, self._cal, None, self._longest)
        clean, fit = zapline(
            x,
            self.source.sfreq,
            self.line_freq,
            n_remove=self._n_remove,
            half_width=self._half_width,
        )
        self.n_removed = fit.n_removed
        return clean

    def _block(self, cell: RawBlock, data: F32) -> Block:
        masks = masks_of(cell.masks, self._names)
        return Block(np.ascontiguousarray(data), self.info, cell.start, masks)


def _joined(first: RawBlock, second: RawBlock) -> RawBlock:
    data = np.concatenate([first.data, second.data], axis=1)
    masks = normal_masks(first.masks + second.masks, first.start, second.stop)
    return RawBlock(data, first.info, first.start, masks)
