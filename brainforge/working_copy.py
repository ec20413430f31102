"""WorkingCopy: the filtered, decimated signal of one recording, kept between the passes.

30 minutes of 306 channels at 250 Hz are 0.55 GB, read three times: that much is held in memory.
What comes beyond goes to a temporary file that nobody else can open, so memory stays bounded
whatever the recording's length, and nothing is left behind whatever happens. On a shelf that
outlives the process every block is put there, and a checkpoint only tells where it lies.

Blocks that come from a device stay there within a budget of their own. Those beyond it go the
same way as others and are brought back to the device when they are read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import numpy as np

from brainforge.block import Block, Mask
from brainforge.errors import InputError
from brainforge.info import Info
from brainforge.kernels.namespace import is_device, namespace, to_device, to_host
from brainforge.masks import masks_from_state, masks_to_state
from brainforge.shelf import Shelf, Shelved

#: 35 minutes of 306 channels at 250 Hz
HELD_BYTES = 640 * 2**20


@dataclass(frozen=True)
class _Entry:
    """A block: held in memory or on its device, or put on the shelf."""

    start: int
    n_samples: int
    masks: tuple[Mask, ...]
    held: Any
    put: Shelved | None
    on_device: bool


class WorkingCopy:
    """A Sink of Blocks that can be read again, block by block, as often as one likes.

    Parameters
    ----------
    info : Info
        Of the blocks (working rate; fT, fT/cm, µV).
    folder : str | None
        Where the temporary file goes; the system's default where None.
    held_bytes : int
        How much is held in memory; blocks beyond it go to the file.
    device_bytes : int | None
        How much is held on a device, of blocks that come from one; None for all of them.
    shelf : Shelf | None
        Where all blocks are put, none of them held, so that `state` can name them; whoever gave
        it closes it. None for a temporary one, for what is not held.
    """

    def __init__(
        self,
        info: Info,
        folder: str | None = None,
        held_bytes: int = HELD_BYTES,
        device_bytes: int | None = None,
        shelf: Shelf | None = None,
    ) -> None:
        self.info, self.device_bytes = info, device_bytes
        # reading 0.55 GB back from pages in memory costs a tenth of a second each time
        self._left = held_bytes if shelf is None else 0
        self._device_left = device_bytes
        #: an empty array of the device that blocks come from
        self._place: Any = None
        self._lasting = shelf is not None
        self._shelf = shelf or Shelf(folder=folder)
        self._entries: list[_Entry] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the memory and delete the file, where it is a temporary one."""
        self._entries.clear()
        self._place = None
        if not self._lasting:
            self._shelf.close()

    def write(self, block: Block) -> None:
        """Append a block; blocks come in order of time and are not changed afterwards.

        Raises
        ------
        OutputError
            The disk of the temporary folder is full.
        """
        data, on_device = block.data, is_device(block.data)
        if on_device and self._place is None:
            self._place = namespace(data).zeros((0,), dtype=data.dtype, device=data.device)
        n_bytes = 4 * data.shape[0] * data.shape[1]
        held = data if on_device and self._room_on_device(n_bytes) else None
        if held is None:
            data = to_host(data)
            held = data if self._room(n_bytes) else None
        put = self._shelf.put(data) if held is None else None
        self._entries.append(_Entry(block.start, data.shape[1], block.masks, held, put, on_device))

    def _room_on_device(self, n_bytes: int) -> bool:
        if self._device_left is None:
            return True
        # once something had no room, what follows has none: blocks are read in order
        self._device_left = max(self._device_left - n_bytes, -1)
        return self._device_left >= 0

    def _room(self, n_bytes: int) -> bool:
        self._left = max(self._left - n_bytes, -1)
        return self._left >= 0

    @property
    def n_samples(self) -> int:
        """Number of samples kept, gaps not counted."""
        return sum(e.n_samples for e in self._entries)

    @property
    def n_blocks(self) -> int:
        """Number of blocks kept."""
        return len(self._entries)

    @property
    def masks(self) -> tuple[Mask, ...]:
        """The masks of all blocks, in the order they were written."""
        return tuple(mask for entry in self._entries for mask in entry.masks)

    @property
    def segments(self) -> tuple[tuple[int, int], ...]:
        """Continuous stretches as (start, stop) in absolute working samples."""
        out: list[tuple[int, int]] = []
        for e in self._entries:
            if out and out[-1][1] == e.start:
                out[-1] = (out[-1][0], e.start + e.n_samples)
            else:
                out.append((e.start, e.start + e.n_samples))
        return tuple(out)

    def blocks(self) -> Iterator[Block]:
        """Yield the blocks in the order they were written."""
        for entry in self._entries:
            yield self._read(entry)

    def take(self) -> Iterator[Block]:
        """Yield the blocks in order and let go of each before the next: they can be had once.

        What is made of them may be kept instead without twice the memory.
        """
        while self._entries:
            yield self._read(self._entries.pop(0))

    def window(self, start: int, stop: int) -> Block:
        """Return the samples [start, stop) of one continuous stretch as one Block."""
        parts: list[Any] = []
        masks: list[Mask] = []
        for entry in self._entries:
            lo, hi = max(start, entry.start), min(stop, entry.start + entry.n_samples)
            if lo < hi:
                block = self._read(entry)
                parts.append(block.data[:, lo - entry.start : hi - entry.start])
                masks.extend(entry.masks)
        if not parts:
            parts = [np.zeros((self.info.n_channels, 0), dtype=np.float32)]
        data = namespace(*parts).concat(parts, axis=1)
        return Block(data, self.info, start, tuple(masks))

    def state(self) -> dict[str, Any]:
        """Return a checkpoint: where the blocks lie on the shelf.

        Raises
        ------
        InputError
            It has no shelf that outlives it.
        """
        if not self._lasting:
            raise InputError(
                where="working copy", expected="a shelf that outlives it", got="a temporary one"
            )
        at = [(e.start, e.n_samples, e.put.offset) for e in self._entries if e.put is not None]
        masked = enumerate(self._entries)
        return {
            "at": np.array(at, dtype=np.int64).reshape(-1, 3),
            "masks": [[i, masks_to_state(e.masks)] for i, e in masked if e.masks],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint on the same shelf; blocks are read when they are needed."""
        masks = {i: masks_from_state(m) for i, m in state["masks"]}
        self._entries = []
        for i, (start, n, offset) in enumerate(np.asarray(state["at"]).tolist()):
            shape = (self.info.n_channels, n)
            put = Shelved(self._shelf, offset, np.dtype(np.float32), shape)
            self._entries.append(_Entry(start, n, masks.get(i, ()), None, put, False))

    def _read(self, entry: _Entry) -> Block:
        data = np.asarray(entry.put) if entry.held is None else entry.held
        if entry.on_device:
            data = to_device(data, like=self._place)
        return Block(data, self.info, entry.start, entry.masks)
