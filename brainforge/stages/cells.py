"""Cells: a stream cut at multiples of a length on the absolute grid, short gaps filled.

What windowed stages share. What comes out depends on the samples alone, not on how they came.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.block import Cause, Mask, RawBlock, good_samples
from brainforge.bridging import bridge, non_finite_masks
from brainforge.info import Info
from brainforge.masks import masks_from_state, masks_to_state, normal_masks
from brainforge.stages.working import InOrder, scaled


class Cells:
    """Takes RawBlocks of any size, gives cells, and None where a continuous stretch has ended.

    Parameters
    ----------
    info : Info
        Of the blocks.
    length : int
        Samples of a cell; the first and the last of a stretch may be shorter.
    max_gap : int
        Missing samples up to this many become masked zeros; more end the stretch.
    """

    def __init__(self, info: Info, length: int, max_gap: int) -> None:
        self.length, self._max_gap = length, max_gap
        self._order = InOrder(info)
        self._parts: list[npt.NDArray[Any]] = []
        self._masks: list[Mask] = []
        self._begin, self._stop = 0, -1
        self._open = False

    def process(self, block: RawBlock) -> list[RawBlock | None]:
        """Take one block, return what is complete."""
        self._order.check(block)
        out: list[RawBlock | None] = []
        if not block.data.shape[1]:
            return out
        missing = block.start - self._stop if self._open else 0
        if missing > self._max_gap:
            out += self.finish()
        elif missing:
            gap = np.zeros((len(block.data), missing), block.data.dtype)
            masks = (Mask(None, self._stop, block.start, Cause.GAP),)
            out += self._append(RawBlock(gap, block.info, self._stop, masks))
        return out + self._append(block)

    def finish(self) -> list[RawBlock | None]:
        """Return what is left of the stretch, and its end."""
        if not self._open:
            return []
        out = [self._join(self._order.info)] if self._parts else []
        self._open = False
        return [*out, None]

    def state(self) -> dict[str, Any]:
        """Return a checkpoint."""
        return {
            "parts": [part.copy() for part in self._parts],
            "masks": masks_to_state(self._masks),
            "at": [self._begin, self._stop, self._open],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint."""
        self._parts = [np.array(part) for part in state["parts"]]
        self._masks = list(masks_from_state(state["masks"]))
        self._begin, self._stop, self._open = state["at"]
        self._order.stop = self._stop if self._open else None

    def _append(self, block: RawBlock) -> list[RawBlock | None]:
        out: list[RawBlock | None] = []
        at = block.start
        while at < block.stop:
            end = min(block.stop, (at // self.length + 1) * self.length)
            if not self._parts:
                self._begin = at
            self._parts.append(block.data[:, at - block.start : end - block.start].copy())
            self._masks.extend(normal_masks(block.masks, at, end))
            if end % self.length == 0:
                out.append(self._join(block.info))
            at = end
        self._open, self._stop = True, block.stop
        return out

    def _join(self, info: Info) -> RawBlock:
        data = self._parts[0] if len(self._parts) == 1 else np.concatenate(self._parts, axis=1)
        begin, stop = self._begin, self._begin + data.shape[1]
        masks, self._parts, self._masks = self._masks, [], []
        return RawBlock(data, info, begin, normal_masks(masks, begin, stop))


def judged(cell: RawBlock, rows: npt.NDArray[np.intp]) -> RawBlock:
    """Return a cell with masks for what is not finite in some rows."""
    found = non_finite_masks(cell, rows)
    return replace(cell, masks=cell.masks + found) if found else cell


def masks_of(masks: tuple[Mask, ...], names: frozenset[str]) -> tuple[Mask, ...]:
    """Return what masks say of the named channels."""
    kept = []
    for mask in masks:
        if mask.channels is not None:
            mask = replace(mask, channels=tuple(n for n in mask.channels if n in names))
        if mask.channels != ():
            kept.append(mask)
    return tuple(kept)


def bridged(
    cell: RawBlock,
    rows: npt.NDArray[np.intp],
    cal: npt.NDArray[np.float64],
    left: npt.NDArray[Any] | None,
    longest: int,
) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
    """Return a cell in working units with its bad samples bridged, and which are good.

    Both have axes (channel, sample). Short stretches become straight lines, longer ones hold
    the value before them, as `brainforge.bridging.bridge` says; ``left`` holds the samples
    before the cell. Samples that are not finite have to be masked (`judged`).
    """
    x = np.ascontiguousarray(scaled(cell, rows, cal).T)
    good = np.ones(x.shape, dtype=bool)
    if cell.masks:
        good = good_samples(cell.masks, cell.info, cell.start, cell.stop)[rows]
        bridge(x, ~good, left, longest)
    return x, good
