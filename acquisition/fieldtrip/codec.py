"""The bytes of the FieldTrip buffer, protocol version 1: messages, headers, chunks, data.

Every message begins with a version (u16, always 1), a command (u16) and the size of what follows
(u32). Whoever asks chooses the byte order, and the version shows which: read as little-endian it
is 1 or 256. Sizes that do not fit each other are refused before anything is allocated for them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property
from struct import Struct
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from brainforge.errors import InputError

VERSION: Final = 1
PORT: Final = 1972
#: counts on the wire are u32 and begin anew after this many
WRAP: Final = 1 << 32
#: name of the NumPy dtype by the protocol's number of a data type; 0 is a character
DTYPES: Final = (
    "int8", "uint8", "uint16", "uint32", "uint64",
    "int8", "int16", "int32", "int64", "float32", "float64",
)  # fmt: skip
CHAR: Final = 0

MAX_CHANNELS: Final = 1 << 20
MAX_FRAME_BYTES: Final = 4 << 20
#: largest header with its chunks; the res4 file of a CTF system has 3 MB
MAX_HEADER_BYTES: Final = 32 << 20


Bytes = bytes | bytearray | memoryview


class Command(IntEnum):
    """What a message asks for or answers."""

    PUT_HDR, PUT_DAT, PUT_EVT, PUT_OK, PUT_ERR = range(0x0101, 0x0106)
    GET_HDR, GET_DAT, GET_EVT, GET_OK, GET_ERR = range(0x0201, 0x0206)
    FLUSH_HDR, FLUSH_DAT, FLUSH_EVT, FLUSH_OK, FLUSH_ERR = range(0x0301, 0x0306)
    WAIT_DAT, WAIT_OK, WAIT_ERR = 0x0402, 0x0404, 0x0405
    #: as PUT, but nobody waits for an answer
    PUT_HDR_QUIET, PUT_DAT_QUIET, PUT_EVT_QUIET = range(0x0501, 0x0504)


class ChunkType(IntEnum):
    """What a header can carry besides its fixed part."""

    UNSPECIFIED, NAMES, FLAGS, RESOLUTIONS, KEYVAL, NIFTI1, SIEMENS, CTF_RES4 = range(8)
    NEUROMAG_HEADER, NEUROMAG_ISOTRAK, NEUROMAG_HPI = 8, 9, 10


class Malformed(InputError):
    """Bytes that are not what the protocol says."""


class Wire:
    """The fixed structures in one byte order.

    Attributes
    ----------
    order : "<" or ">"
    message, header, data, pair, wait, event : Struct
    """

    def __init__(self, order: Literal["<", ">"]) -> None:
        self.order = order
        self.message = Struct(order + "HHI")
        self.header = Struct(order + "IIIfII")
        self.data = Struct(order + "IIII")
        self.pair = Struct(order + "II")
        self.wait = Struct(order + "III")
        self.event = Struct(order + "IIIIiiiI")

    def ask(self, command: int, payload: bytes = b"") -> bytes:
        """Return a whole message."""
        return self.message.pack(VERSION, command, len(payload)) + payload


LITTLE: Final = Wire("<")
BIG: Final = Wire(">")


def wire_of(head: Bytes) -> Wire:
    """Return the byte order in which a message was sent, by its version.

    Raises
    ------
    Malformed
        Where the version is not 1 in either.
    """
    version = bytes(head[:2])
    if version == b"\x01\x00":
        return LITTLE
    if version == b"\x00\x01":
        return BIG
    raise Malformed(
        where="FieldTrip message",
        expected="version 1 of the buffer protocol",
        got=f"bytes {version.hex(' ')}",
        fix="check that the port is that of a FieldTrip buffer",
    )


@dataclass(frozen=True)
class Header:
    """What a buffer says of its stream.

    Parameters
    ----------
    n_channels : int
    sfreq : float
        In Hz; the protocol carries it as float32.
    data_type : int
        The protocol's number, an index into `DTYPES`.
    n_samples, n_events : int
        How many have been written, modulo 2**32.
    chunks : tuple of (int, bytes)
        Type and contents, numbers in them little-endian.
    """

    n_channels: int
    sfreq: float
    data_type: int
    n_samples: int = 0
    n_events: int = 0
    chunks: tuple[tuple[int, bytes], ...] = field(default=(), repr=False)

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        """Type of the samples on this machine."""
        return np.dtype(DTYPES[self.data_type])

    @property
    def frame_bytes(self) -> int:
        """Size of one sample of all channels."""
        return self.n_channels * self.dtype.itemsize

    def chunk(self, kind: ChunkType) -> bytes | None:
        """Return the first chunk of a kind, None where there is none."""
        return next((data for number, data in self.chunks if number == kind), None)

    @property
    def names(self) -> tuple[str, ...]:
        """Channel names; a channel without one is called by its number, ``"CH007"``."""
        given = (self.chunk(ChunkType.NAMES) or b"").split(b"\0")[: self.n_channels]
        names = [name.decode("utf-8", errors="replace").strip() for name in given]
        names += [""] * (self.n_channels - len(names))
        return tuple(name or f"CH{i + 1:03d}" for i, name in enumerate(names))


def data_type_of(dtype: npt.DTypeLike) -> int:
    """Return the protocol's number of a NumPy dtype.

    Raises
    ------
    InputError
        Where the protocol has none for it.
    """
    name = np.dtype(dtype).name
    if name not in DTYPES:
        raise InputError(
            where="data type", expected=f"one of {', '.join(sorted(set(DTYPES)))}", got=name
        )
    return DTYPES.index(name, 1)


def name_chunk(names: tuple[str, ...]) -> tuple[int, bytes]:
    """Return the chunk that carries channel names."""
    return int(ChunkType.NAMES), b"".join(name.encode() + b"\0" for name in names)


def _need(fine: bool, expected: str, got: str) -> None:
    if not fine:
        raise Malformed(where="FieldTrip message", expected=expected, got=got)


def _swapped(kind: int, data: bytes, wire: Wire) -> bytes:
    """Turn the numbers of a chunk from one byte order into the other; text and files stay."""
    if wire is LITTLE or kind != ChunkType.RESOLUTIONS or len(data) % 8:
        return data
    return np.frombuffer(data, dtype="<f8").byteswap().tobytes()


def encode_header(wire: Wire, header: Header) -> bytes:
    """Return the payload of PUT_HDR, or of the answer to GET_HDR."""
    chunks = b"".join(
        wire.pair.pack(kind, len(data)) + _swapped(kind, data, wire) for kind, data in header.chunks
    )
    fixed = wire.header.pack(
        header.n_channels, header.n_samples % WRAP, header.n_events % WRAP,
        header.sfreq, header.data_type, len(chunks),
    )  # fmt: skip
    return fixed + chunks


def decode_header(wire: Wire, payload: Bytes) -> Header:
    """Return the header that a payload holds.

    Raises
    ------
    Malformed
    """
    _need(len(payload) >= wire.header.size, "a header of 24 bytes", f"{len(payload)}")
    n_channels, n_samples, n_events, sfreq, data_type, size = wire.header.unpack_from(payload)
    rest = len(payload) - wire.header.size
    _need(size == rest, f"chunks of {rest} bytes", f"{size}")
    _need(0 < n_channels <= MAX_CHANNELS, f"1 to {MAX_CHANNELS} channels", f"{n_channels}")
    _need(math.isfinite(sfreq) and sfreq > 0, "a positive sampling rate", f"{sfreq}")
    _need(data_type < len(DTYPES), f"a data type below {len(DTYPES)}", f"{data_type}")
    frame = n_channels * np.dtype(DTYPES[data_type]).itemsize
    _need(frame <= MAX_FRAME_BYTES, f"at most {MAX_FRAME_BYTES} bytes a sample", f"{frame}")
    chunks = tuple(_chunks(wire, memoryview(payload)[wire.header.size :]))
    return Header(n_channels, sfreq, data_type, n_samples, n_events, chunks)


def _chunks(wire: Wire, data: memoryview) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(data):
        left = len(data) - at - wire.pair.size
        _need(left >= 0, "a chunk's head of 8 bytes", f"{left + wire.pair.size}")
        kind, size = wire.pair.unpack_from(data, at)
        _need(size <= left, f"a chunk of at most {left} bytes", f"{size}")
        at += wire.pair.size
        yield kind, _swapped(kind, bytes(data[at : at + size]), wire)
        at += size


def encode_data_head(wire: Wire, n_channels: int, n_samples: int, data_type: int) -> bytes:
    """Return what stands before the samples in PUT_DAT and in the answer to GET_DAT."""
    size = n_channels * n_samples * np.dtype(DTYPES[data_type]).itemsize
    return wire.data.pack(n_channels, n_samples, data_type, size)


def decode_data_head(wire: Wire, payload: Bytes, size: int) -> tuple[int, int, int]:
    """Return channels, samples and data type of a message with ``size`` bytes of payload.

    Raises
    ------
    Malformed
        Where the sizes do not fit each other.
    """
    _need(len(payload) >= wire.data.size, "a head of 16 bytes", f"{len(payload)}")
    n_channels, n_samples, data_type, nbytes = wire.data.unpack_from(payload)
    _need(data_type < len(DTYPES), f"a data type below {len(DTYPES)}", f"{data_type}")
    due = n_channels * n_samples * np.dtype(DTYPES[data_type]).itemsize
    _need(
        due == nbytes == size - wire.data.size,
        f"{due} bytes for {n_channels} channels x {n_samples} samples",
        f"{nbytes} in a message with {size - wire.data.size}",
    )
    return n_channels, n_samples, data_type


def unwrap(count: int, near: int) -> int:
    """Return the number nearest to ``near`` that is ``count`` modulo 2**32."""
    return near + (count - near + WRAP // 2) % WRAP - WRAP // 2
