"""WorkingCopy: the filtered, decimated signal of one recording, kept between the passes.

30 minutes of 306 channels at 250 Hz are 0.55 GB, read three times: that much is held in memory.
What comes beyond goes to a temporary file that nobody else can open, so memory stays bounded
whatever the recording's length, and nothing is left behind whatever happens.

Blocks that come from a device stay there within a budget of their own. Those beyond it go the
same way as others and are brought back to the device when they are read.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from brainforge.block import Block, Mask
from brainforge.errors import OutputError
from brainforge.info import Info
from brainforge.kernels.namespace import is_device, namespace, to_device, to_host

#: 35 minutes of 306 channels at 250 Hz
HELD_BYTES = 640 * 2**20


@dataclass(frozen=True)
class _Entry:
    """A block: held in memory or on its device, or at an offset of the file."""

    start: int
    n_samples: int
    masks: tuple[Mask, ...]
    held: Any
    offset: int
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
    """

    def __init__(
        self,
        info: Info,
        folder: str | None = None,
        held_bytes: int = HELD_BYTES,
        device_bytes: int | None = None,
    ) -> None:
        self.info, self.device_bytes = info, device_bytes
        self._left, self._device_left, self._offset = held_bytes, device_bytes, 0
        #: an empty array of the device that blocks come from
        self._place: Any = None
        self._file = tempfile.TemporaryFile(prefix="brainforge-", dir=folder, buffering=0)  # noqa: SIM115
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
        """Let go of the memory and delete the file."""
        self._entries.clear()
        self._place = None
        self._file.close()

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
        if held is None:
            self._to_file(data)
        self._entries.append(
            _Entry(block.start, data.shape[1], block.masks, held, self._offset, on_device)
        )
        if held is None:
            self._offset += n_bytes

    def _room_on_device(self, n_bytes: int) -> bool:
        if self._device_left is None:
            return True
        # once something had no room, what follows has none: blocks are read in order
        self._device_left = max(self._device_left - n_bytes, -1)
        return self._device_left >= 0

    def _room(self, n_bytes: int) -> bool:
        self._left = max(self._left - n_bytes, -1)
        return self._left >= 0

    def _to_file(self, data: npt.NDArray[np.float32]) -> None:
        try:
            self._file.seek(self._offset)
            view = np.ascontiguousarray(data).data.cast("B") if data.size else b""
            while view:
                view = view[self._file.write(view) :]
        except OSError as error:
            raise OutputError(
                f"temporary folder {tempfile.gettempdir()}: expected room for the working copy, "
                f"got {error.strerror}; free some space or set TMPDIR"
            ) from error

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

    def _read(self, entry: _Entry) -> Block:
        data = self._from_file(entry) if entry.held is None else entry.held
        if entry.on_device:
            data = to_device(data, like=self._place)
        return Block(data, self.info, entry.start, entry.masks)

    def _from_file(self, entry: _Entry) -> npt.NDArray[np.float32]:
        data = np.empty((self.info.n_channels, entry.n_samples), dtype=np.float32)
        self._file.seek(entry.offset)
        view = data.data.cast("B") if data.size else memoryview(b"")
        at = 0
        while at < len(view):
            n = self._file.readinto(view[at:])
            if not n:
                raise OutputError("temporary folder: expected the whole working copy, got less")
            at += n
        return data
