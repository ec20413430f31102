"""Regrid: cut whatever arrives into blocks of one absolute grid.

What comes out depends on the samples alone, not on how they were cut when they came in. That
is how every stage after it gives bit-identical numbers for any cutting.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.block import Mask, RawBlock
from brainforge.errors import InputError
from brainforge.info import Info
from brainforge.kernels.namespace import copied, dtype_name, namespace, to_host
from brainforge.masks import masks_from_state, masks_to_state, normal_masks


class Regrid:
    """Take RawBlocks of any size and give blocks that end at multiples of ``grid``.

    Parameters
    ----------
    grid : int
        Source samples. A block goes out when the stream reaches a multiple of it, jumps (a
        gap: the jump stays), or ends.

    Notes
    -----
    A block that covers a whole cell is handed on as a view; samples that have to wait for
    others are copied, so that a source may reuse its buffer.
    """

    def __init__(self, grid: int) -> None:
        if grid < 1:
            raise InputError(where="grid", expected="at least one sample", got=f"{grid}")
        self.grid = grid
        self._info: Info | None = None
        self._dtype: str | None = None
        self._parts: list[npt.NDArray[Any]] = []
        self._masks: list[Mask] = []
        self._start = 0
        self._stop: int | None = None

    def process(self, block: RawBlock) -> list[RawBlock]:
        """Take one block and return the blocks that are complete."""
        self._check(block)
        out: list[RawBlock] = []
        if not block.data.shape[1]:
            return out
        if self._parts and block.start != self._stop:
            out.append(self._join())
        at = block.start
        while at < block.stop:
            end = min(block.stop, (at // self.grid + 1) * self.grid)
            piece = block.data[:, at - block.start : end - block.start]
            complete = end % self.grid == 0
            if complete and not self._parts:
                masks = normal_masks(block.masks, at, end)
                out.append(RawBlock(piece, block.info, at, masks))
            else:
                self._keep(piece, block, at, end)
                if complete:
                    out.append(self._join())
            at = end
        self._stop = block.stop
        return out

    def finish(self) -> list[RawBlock]:
        """Return what is left when the stream has ended."""
        return [self._join()] if self._parts else []

    def state(self) -> dict[str, Any]:
        """Return a checkpoint."""
        return {
            "parts": [np.array(to_host(part)) for part in self._parts],
            "masks": masks_to_state(self._masks),
            "start": self._start,
            "stop": self._stop,
        }

    def restore(self, state: dict[str, Any], info: Info) -> None:
        """Continue from a checkpoint of a stream with this ``info``."""
        self._parts = [np.array(part) for part in state["parts"]]
        self._masks = list(masks_from_state(state["masks"]))
        self._start, self._stop = state["start"], state["stop"]
        self._info = info
        self._dtype = dtype_name(self._parts[0]) if self._parts else None

    def _check(self, block: RawBlock) -> None:
        if self._stop is not None and block.start < self._stop:
            raise InputError(
                where="stream",
                expected=f"a block that starts at sample {self._stop} or later",
                got=f"one at {block.start}",
                fix="feed blocks in order and without overlap",
            )
        if self._info is not None and block.info.names != self._info.names:
            raise InputError(
                where="stream",
                expected=f"the same {self._info.n_channels} channels in every block",
                got=f"other channels at sample {block.start}",
            )
        dtype = dtype_name(block.data)
        if self._dtype is not None and dtype != self._dtype:
            raise InputError(
                where="stream",
                expected=f"{self._dtype} in every block",
                got=f"{dtype} at sample {block.start}",
            )
        self._info, self._dtype = block.info, dtype

    def _keep(self, piece: npt.NDArray[Any], block: RawBlock, at: int, end: int) -> None:
        if not self._parts:
            self._start = at
        self._parts.append(copied(piece))
        self._masks.extend(normal_masks(block.masks, at, end))
        self._stop = end

    def _join(self) -> RawBlock:
        xp = namespace(*self._parts)
        data = self._parts[0] if len(self._parts) == 1 else xp.concat(self._parts, axis=1)
        assert self._info is not None
        stop = self._start + data.shape[1]
        block = RawBlock(
            data, self._info, self._start, normal_masks(self._masks, self._start, stop)
        )
        self._parts, self._masks = [], []
        return block
