"""The samples of a FIF file as the device wrote them: big-endian counts, never through floats.

FIF is a chain of tags: kind, type, size and the place of the next one, 16 bytes, big-endian.
MNE reads what describes the recording; here only the data buffers are found and read.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from brainforge.errors import ReadError
from brainforge.recording import Gap

FIRST_SAMPLE, DATA_BUFFER, DATA_SKIP, FILE_ID = 208, 300, 301, 100
BLOCK_START, BLOCK_END = 104, 105
RAW_BLOCKS = (102, 112, 119)  # raw, continuous and MaxShield data
#: FIF type -> dtype on disk
TYPES = {2: ">i2", 3: ">i4", 4: ">f4", 5: ">f8", 16: ">i2"}
#: samples transposed at a time, so that both sides stay in the cache
TILE = 64


@dataclass(frozen=True)
class Tag:
    """Head of a tag; ``at`` is the byte where its data begin."""

    kind: int
    type: int
    size: int
    at: int


def truncated(path: Path, at: int, what: str) -> ReadError:
    """Return the error for a file that ends or breaks at byte ``at``."""
    return ReadError(
        where=str(path),
        expected="a whole FIF file",
        got=f"{what} at byte {at} of {path.stat().st_size}",
        fix="copy it again from where it was recorded",
    )


def walk(path: Path) -> Iterator[Tag]:
    """Yield the tags of a FIF file in order.

    Raises
    ------
    ReadError
        Where the file is not FIF, is truncated or its chain of tags is broken.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        at = 0
        for count in range(size // 16 + 1):
            file.seek(at)
            head = file.read(16)
            if len(head) < 16:
                raise truncated(path, at, "the end of the file inside a tag")
            kind, type_, length, following = struct.unpack(">iIii", head)
            if count == 0 and (kind != FILE_ID or length != 20):
                raise ReadError(where=str(path), expected="a FIF file", got="another kind of file")
            if length < 0 or at + 16 + length > size:
                raise truncated(path, at, f"a tag of {length} bytes")
            yield Tag(kind, type_, length, at + 16)
            if following < 0:
                return
            at = following or at + 16 + length
            if at == size and not following:
                return
            if at > size:
                raise truncated(path, at, "a pointer past the end")
    raise truncated(path, at, "tags that point in a circle")


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
