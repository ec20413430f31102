"""Frame: one record of the write-ahead log as bytes, and back.

Every frame says whose it is: the recording, the recorder's generation (how many processes have
written this recording) and its number in the log. So bytes that a preallocated or reused block
held before never count, nor does a frame of a process that has been superseded. The CRC-32C is
over the head and the payload.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

import google_crc32c
import numpy as np
import numpy.typing as npt

MAGIC: Final = b"BFW1"
#: magic, kind, zero, generation, payload's length, number in the log, recording
_HEAD: Final = struct.Struct("<4sBBHIQQ")
_CRC: Final = struct.Struct("<I")
HEAD: Final = _HEAD.size + _CRC.size
#: absolute index, device counter and arrival (ns) of the first sample, stamp of the last one,
#: number of samples, number of channels
_SAMPLES: Final = struct.Struct("<qqqdII")
#: no payload is longer: a damaged length must not make a reader ask for gigabytes
MOST_BYTES: Final = 256 << 20


class Kind(IntEnum):
    """What a frame holds."""

    SAMPLES, NOTICE, EVENT, SHARD, END = range(1, 6)


@dataclass(frozen=True)
class Writer:
    """Who writes: the first 16 digits of the recording's id as a number, and the generation."""

    recording: int
    generation: int


def recording_number(recording_id: str) -> int:
    """Return the part of a recording's id that its frames carry."""
    return int(recording_id[:16], 16)


@dataclass(frozen=True)
class Samples:
    """Samples that follow each other without a gap.

    Parameters
    ----------
    start, counter : int
        Absolute index and device counter of the first; the counter is -1 where there is none.
    arrival_ns : int
        `time.monotonic_ns` at which the first came.
    stamp : float
        `time.monotonic` at which the source's clock says the last was taken; NaN if unknown.
    data : array, axes (sample, channel)
    """

    start: int
    counter: int
    arrival_ns: int
    stamp: float
    data: npt.NDArray[Any]

    @property
    def stop(self) -> int:
        """Absolute index one past the last."""
        return self.start + len(self.data)


def pack_samples(writer: Writer, number: int, samples: Samples) -> list[Any]:
    """Return the buffers of a frame of samples: its head, and the samples where they lie."""
    n, channels = samples.data.shape
    inner = _SAMPLES.pack(
        samples.start, samples.counter, samples.arrival_ns, samples.stamp, n, channels
    )
    return _pack(writer, number, Kind.SAMPLES, inner, samples.data)


def pack_json(writer: Writer, number: int, kind: Kind, document: dict[str, Any]) -> bytes:
    """Return the bytes of a frame that holds a JSON document."""
    return b"".join(_pack(writer, number, kind, json.dumps(document).encode(), None))


def _pack(
    writer: Writer, number: int, kind: Kind, inner: bytes, data: npt.NDArray[Any] | None
) -> list[Any]:
    length = len(inner) + (0 if data is None else data.nbytes)
    head = _HEAD.pack(MAGIC, kind, 0, writer.generation, length, number, writer.recording)
    crc = google_crc32c.value(head + inner)
    if data is None:
        return [head + _CRC.pack(crc) + inner]
    # the array itself: the checksum takes no writable memoryview, and a copy is a copy
    return [head + _CRC.pack(google_crc32c.extend(crc, data)) + inner, data]


@dataclass(frozen=True)
class Place:
    """A whole frame of a recording in a log's file.

    Parameters
    ----------
    kind : Kind
    generation, number : int
    offset, length : int
        Of its payload.
    """

    kind: Kind
    generation: int
    number: int
    offset: int
    length: int

    @property
    def end(self) -> int:
        """The byte after it."""
        return self.offset + self.length


def scan(data: bytes, recording: int) -> Iterator[Place]:
    """Yield where the whole frames of one recording lie, in the file's order.

    What is not a whole frame is passed over to the next one, byte by byte: a damaged frame hides
    itself only.
    """
    at = data.find(MAGIC)
    while at >= 0:
        place = _place(data, at, recording)
        if place is None:
            at = data.find(MAGIC, at + 1)
        else:
            yield place
            at = data.find(MAGIC, place.end)


def _place(data: bytes, at: int, recording: int) -> Place | None:
    if at + HEAD > len(data):
        return None
    _, kind, _, generation, length, number, whose = _HEAD.unpack_from(data, at)
    body = at + HEAD
    if whose != recording or length > min(MOST_BYTES, len(data) - body):
        return None
    if kind not in Kind.__members__.values():
        return None
    (crc,) = _CRC.unpack_from(data, at + _HEAD.size)
    known = google_crc32c.value(data[at : at + _HEAD.size])
    if google_crc32c.extend(known, data[body : body + length]) != crc:
        return None
    return Place(Kind(kind), generation, number, body, length)


def unpack_samples(payload: bytes, dtype: np.dtype[Any]) -> Samples:
    """Return the samples of a frame whose checksum has been compared."""
    start, counter, arrival, stamp, n, channels = _SAMPLES.unpack_from(payload)
    flat = np.frombuffer(payload, dtype=dtype, count=n * channels, offset=_SAMPLES.size)
    return Samples(start, counter, arrival, stamp, flat.reshape(n, channels))


def samples_bytes(n: int, n_channels: int, itemsize: int) -> int:
    """Return the bytes of a frame of ``n`` samples."""
    return HEAD + _SAMPLES.size + n * n_channels * itemsize
