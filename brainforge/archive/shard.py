"""One shard to bytes and back, without a copy in between.

Opening a Zarr array and reading it costs an event loop, several copies and a fresh buffer for
every chunk. The bytes themselves are simple: compressed chunks one after another, each with its
crc32c, and an index at the end. `tests/archive/test_shard.py` proves both ways equal to Zarr's.
"""

from __future__ import annotations

import struct
from concurrent.futures import Executor
from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.archive.layout import LEVEL, Layout

Array = npt.NDArray[Any]


class ShardError(ValueError):
    """A shard is damaged; the message says how and at which byte."""


def crc32c(data: bytes) -> int:
    """Return the CRC-32C (Castagnoli) of bytes."""
    import google_crc32c

    return int(google_crc32c.value(data))


def with_crc(data: bytes) -> bytes:
    """Return bytes with their crc32c behind them, as Zarr's codec writes it."""
    return data + crc32c(data).to_bytes(4, "little")


def without_crc(data: bytes | memoryview, what: str, offset: int = 0) -> bytes:
    """Return what lies before the crc32c, after comparing it."""
    body = bytes(data[:-4])  # the one copy: the checksum takes nothing but bytes
    if len(data) < 4 or crc32c(body) != int.from_bytes(data[-4:], "little"):
        raise ShardError(f"the checksum of {what} at byte {offset} does not match")
    return body


def encode(counts: Array, layout: Layout, level: int = LEVEL) -> bytes:
    """Return the bytes of a shard.

    Parameters
    ----------
    counts : array, axes (channel, sample)
        At most ``layout.samples`` samples; the rest is padding that no reader sees.
    """
    from numcodecs.blosc import BITSHUFFLE, Blosc

    codec = Blosc(cname=layout.codec, clevel=level, shuffle=BITSHUFFLE)
    dtype = np.dtype(layout.dtype).newbyteorder("<")
    parts, index, at = [], [], 0
    for group in range(layout.n_groups):
        rows = counts[group * layout.rows : (group + 1) * layout.rows]
        if rows.shape == (layout.rows, layout.samples):
            chunk = np.ascontiguousarray(rows, dtype=dtype)
        else:
            chunk = np.zeros((layout.rows, layout.samples), dtype=dtype)
            chunk[: rows.shape[0], : rows.shape[1]] = rows
        part = with_crc(codec.encode(chunk))
        parts.append(part)
        index += [at, len(part)]
        at += len(part)
    parts.append(with_crc(np.array(index, dtype="<u8").tobytes()))
    return b"".join(parts)


def index_of(data: bytes, layout: Layout) -> list[tuple[int, int]]:
    """Return (offset, size) of every chunk in a shard."""
    length = layout.n_groups * 16 + 4
    if len(data) < length:
        raise ShardError(f"truncated: {len(data)} bytes, expected at least {length}")
    at = len(data) - length
    table = np.frombuffer(without_crc(data[at:], "the index", at), dtype="<u8").reshape(-1, 2)
    for offset, size in table:
        if offset == size == 2**64 - 1:
            raise ShardError("a chunk is missing, so fill values would show")
        if int(offset) + int(size) > at or size < 20:
            raise ShardError(f"the index points outside the file, to byte {offset}")
    return [(int(offset), int(size)) for offset, size in table]


def frame_of(data: bytes, index: list[tuple[int, int]], layout: Layout, group: int) -> bytes:
    """Return the compressed bytes of one chunk, after comparing checksum and sizes.

    Parameters
    ----------
    data : bytes
        The whole shard.
    index : list
        As `index_of` returns it.
    """
    offset, size = index[group]
    part = memoryview(data)[offset : offset + size]
    frame = without_crc(part, f"chunk {group}", offset)
    # a Blosc frame begins with four bytes of flags, then three sizes: expanded, block, packed
    expanded, _, packed = struct.unpack_from("<III", frame, 4)
    if expanded != layout.chunk_bytes or packed != len(frame):
        raise ShardError(
            f"chunk {group} at byte {offset}: expected {layout.chunk_bytes} bytes, got {expanded}"
        )
    return frame


def expand(frame: bytes, layout: Layout, group: int, out: Array) -> None:
    """Decompress one chunk into its rows of ``out``.

    Parameters
    ----------
    frame : bytes
        As `frame_of` returns it.
    out : array, axes (channel, sample)
        C order, ``layout.n_channels`` x ``layout.samples``, little-endian; rows of other
        groups are left alone.
    """
    from numcodecs.blosc import decompress

    first = group * layout.rows
    last = min(first + layout.rows, layout.n_channels)
    try:
        if last - first == layout.rows:
            decompress(frame, out[first:last])
            return
        whole = np.empty((layout.rows, layout.samples), dtype=out.dtype)
        decompress(frame, whole)
    except RuntimeError as error:
        raise ShardError(f"chunk {group} cannot be decompressed") from error
    out[first:last] = whole[: last - first]


def decode(data: bytes, layout: Layout, out: Array, pool: Executor | None = None) -> None:
    """Decode a whole shard into ``out``, axes (channel, sample), on the pool's threads.

    Checksums are compared here, while the pool already decompresses: the checksum holds the
    interpreter's lock, decompression does not.
    """
    index = index_of(data, layout)
    jobs = []
    try:
        for group in range(layout.n_groups):
            frame = frame_of(data, index, layout, group)
            if pool is None:
                expand(frame, layout, group, out)
            else:
                jobs.append(pool.submit(expand, frame, layout, group, out))
    finally:
        for job in jobs:
            job.result()
