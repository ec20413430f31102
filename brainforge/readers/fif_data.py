"""The samples of a FIF file as the device wrote them: big-endian counts, never through floats.

MNE reads what describes the recording; here only the data buffers are found and read.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from brainforge.archive.fif_tags import Tag, truncated, walk
from brainforge.recording import Gap

DATA_BUFFER, DATA_SKIP = 300, 301
BLOCK_START, BLOCK_END = 104, 105
RAW_BLOCKS = (102, 112, 119)  # raw, continuous and MaxShield data
#: FIF type -> dtype on disk
TYPES = {2: ">i2", 3: ">i4", 4: ">f4", 5: ">f8", 16: ">i2"}
#: samples transposed at a time, so that both sides stay in the cache
TILE = 64


@dataclass(frozen=True)
class Buffer:
    """A data buffer: samples [start, stop), absolute, at byte ``at`` of ``path``."""

    path: Path
    at: int
    dtype: str
    start: int
    stop: int


def _int(file: BinaryIO, tag: Tag) -> int:
    file.seek(tag.at)
    return int(struct.unpack(">i", file.read(4))[0])


def find_buffers(
    paths: list[Path], n_channels: int, first: int
) -> tuple[list[Buffer], list[Gap], str]:
    """Return the buffers of a recording, its gaps, and the dtype of its counts.

    Parameters
    ----------
    paths : list of Path
        The file and its continuations, in order.
    n_channels : int
    first : int
        Absolute index of the first sample.

    Returns
    -------
    buffers : list of Buffer
    gaps : list of Gap
        Where acquisition was paused.
    dtype : str
        Empty where the file holds what has no lossless place here (complex or mixed types).
    """
    buffers: list[Buffer] = []
    gaps: list[Gap] = []
    at, skip, types = first, 0, set()
    for path in paths:
        raw = 0
        with path.open("rb") as file:
            for tag in walk(path):
                if tag.kind in (BLOCK_START, BLOCK_END) and _int(file, tag) in RAW_BLOCKS:
                    raw += 1 if tag.kind == BLOCK_START else -1
                elif tag.kind == DATA_SKIP and raw and buffers:
                    skip = _int(file, tag)
                elif tag.kind == DATA_BUFFER and raw:
                    types.add(TYPES.get(tag.type, ""))
                    width = n_channels * np.dtype(TYPES.get(tag.type, ">f4")).itemsize
                    n = tag.size // width
                    if skip:
                        gaps.append(Gap(at, at + skip * n, "acquisition paused"))
                        at, skip = at + skip * n, 0
                    if n * width != tag.size:
                        raise truncated(path, tag.at, f"{tag.size} bytes of samples")
                    buffers.append(Buffer(path, tag.at, TYPES.get(tag.type, ""), at, at + n))
                    at += n
    dtype = (
        np.dtype(types.pop()).newbyteorder("=").name if len(types) == 1 and "" not in types else ""
    )
    return buffers, gaps, dtype


class FifReader:
    """SampleReader of FIF data buffers.

    Parameters
    ----------
    buffers : list of Buffer
    n_channels : int
    dtype : str
    """

    def __init__(self, buffers: list[Buffer], n_channels: int, dtype: str) -> None:
        self._buffers, self._n, self._dtype = buffers, n_channels, np.dtype(dtype)
        self._starts = np.array([b.start for b in buffers])

    def read(self, start: int, stop: int) -> npt.NDArray[Any]:
        """Return samples [start, stop), absolute; axes (channel, sample)."""
        return self.read_rows(start, stop, slice(None))

    def read_rows(self, start: int, stop: int, rows: Any) -> npt.NDArray[Any]:
        """Return samples [start, stop) of some rows; axes (row, sample)."""
        n_rows = len(np.arange(self._n)[rows])
        out = np.empty((n_rows, stop - start), dtype=self._dtype)
        at = max(int(np.searchsorted(self._starts, start, side="right")) - 1, 0)
        for buffer in self._buffers[at:]:
            lo, hi = max(start, buffer.start), min(stop, buffer.stop)
            if buffer.start >= stop:
                break
            if lo < hi:
                self._copy(buffer, lo, hi, rows, out[:, lo - start : hi - start])
        return out

    def _copy(
        self, buffer: Buffer, start: int, stop: int, rows: Any, out: npt.NDArray[Any]
    ) -> None:
        width = self._n * self._dtype.itemsize
        offset = buffer.at + (start - buffer.start) * width
        try:
            flat = np.fromfile(buffer.path, buffer.dtype, (stop - start) * self._n, offset=offset)
        except OSError as error:
            raise truncated(buffer.path, offset, str(error.strerror or error)) from error
        if flat.size != (stop - start) * self._n:
            raise truncated(buffer.path, offset, "the end of the file")
        samples = flat.byteswap(inplace=True).view(self._dtype).reshape(-1, self._n)
        for a in range(0, stop - start, TILE):
            out[:, a : a + TILE] = samples[a : a + TILE].T[rows]
