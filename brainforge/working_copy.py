"""WorkingCopy: the filtered, decimated signal of one recording, kept between the passes.

30 minutes of 306 channels at 250 Hz are 0.55 GB, read three times: that much is held in memory.
What comes beyond goes to a temporary file that nobody else can open, so memory stays bounded
whatever the recording's length, and nothing is left behind whatever happens.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt

from brainforge.block import Block, Mask
from brainforge.errors import OutputError
from brainforge.info import Info

#: 35 minutes of 306 channels at 250 Hz
HELD_BYTES = 640 * 2**20


@dataclass(frozen=True)
class _Entry:
    """A block: held in memory, or at an offset of the file."""

    start: int
    n_samples: int
    masks: tuple[Mask, ...]
    held: npt.NDArray[np.float32] | None
    offset: int


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
    """

    def __init__(self, info: Info, folder: str | None = None, held_bytes: int = HELD_BYTES) -> None:
        self.info = info
        self._left, self._offset = held_bytes, 0
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
        self._file.close()

    def write(self, block: Block) -> None:
        """Append a block; blocks come in order of time and are not changed afterwards.

        Raises
        ------
        OutputError
            The disk of the temporary folder is full.
        """
        n_bytes = block.data.nbytes
        held = block.data if n_bytes <= self._left else None
        if held is not None:
            self._left -= n_bytes
        else:
            self._left = 0
            self._to_file(block.data)
        n_samples = block.data.shape[1]
        self._entries.append(_Entry(block.start, n_samples, block.masks, held, self._offset))
        if held is None:
            self._offset += n_bytes

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

    def window(self, start: int, stop: int) -> Block:
        """Return the samples [start, stop) of one continuous stretch as one Block."""
        parts: list[npt.NDArray[np.float32]] = []
        masks: list[Mask] = []
        for entry in self._entries:
            lo, hi = max(start, entry.start), min(stop, entry.start + entry.n_samples)
            if lo < hi:
                block = self._read(entry)
                parts.append(block.data[:, lo - entry.start : hi - entry.start])
                masks.extend(entry.masks)
        data = np.concatenate(parts, axis=1) if parts else np.zeros((self.info.n_channels, 0), "f4")
        return Block(data, self.info, start, tuple(masks))

    def _read(self, entry: _Entry) -> Block:
        if entry.held is not None:
            return Block(entry.held, self.info, entry.start, entry.masks)
        data = np.empty((self.info.n_channels, entry.n_samples), dtype=np.float32)
        self._file.seek(entry.offset)
        view = data.data.cast("B") if data.size else memoryview(b"")
        at = 0
        while at < len(view):
            n = self._file.readinto(view[at:])
            if not n:
                raise OutputError("temporary folder: expected the whole working copy, got less")
            at += n
        return Block(data, self.info, entry.start, entry.masks)
