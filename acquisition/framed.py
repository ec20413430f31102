"""The framed live protocol: bytes to frames and back; no sockets here.

`docs/live-protocol.md` describes every byte. A frame is taken only after the checksums of its
head and of its payload have been compared; what does not fit is skipped until the next frame.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Any, Final, NamedTuple

import google_crc32c
import numpy as np
import numpy.typing as npt

from brainforge.errors import InputError

MAGIC: Final = b"BFLV"
VERSION: Final = 1
#: magic, version, kind, zero, payload length, CRC-32C of the payload, CRC-32C of all before
_HEAD: Final = struct.Struct("<4sBBHIII")
HEAD: Final = _HEAD.size
_CRC: Final = struct.Struct("<I")
_DATA: Final = struct.Struct("<QdIHBB")
_MARKER: Final = struct.Struct("<QqH")
_STAMP: Final = struct.Struct("<d")
_PONG: Final = struct.Struct("<dd")
_COUNTER: Final = struct.Struct("<Q")
#: types of samples, little-endian, by their number on the wire
DTYPES: Final = ("int16", "int32", "float32", "float64")
_TYPES: Final = tuple(np.dtype(name).newbyteorder("<") for name in DTYPES)
#: in RESUME: only what comes from now on; all that has been kept
FROM_NOW: Final = 2**64 - 1
ALL_KEPT: Final = 2**64 - 2
#: no marker label is longer
MAX_LABEL: Final = 512
_FIRST_BUFFER: Final = 1 << 18


class Kind(IntEnum):
    """What a frame is. A receiver passes over kinds that it does not know."""

    HELLO, DATA, MARKER, PING, PONG, BYE, RESUME = range(1, 8)


#: longest payload of each kind in bytes; a longer one is refused before anything is reserved
LIMITS: Final[dict[int, int]] = {
    Kind.HELLO: 4 << 20,
    Kind.DATA: 8 << 20,
    Kind.MARKER: _MARKER.size + MAX_LABEL,
    Kind.PING: _STAMP.size,
    Kind.PONG: _PONG.size,
    Kind.BYE: 1024,
    Kind.RESUME: _COUNTER.size,
}
_OTHER_LIMIT: Final = 1 << 16


class FrameError(ValueError):
    """A frame arrived whole but what it says makes no sense."""


class Frame(NamedTuple):
    """One frame whose checksums were right. ``kind`` may be one that is not in `Kind`."""

    kind: int
    payload: bytes


class Data(NamedTuple):
    """Samples of a DATA frame.

    Parameters
    ----------
    counter : int
        The device's number of the first sample, 0 to 2**63 - 1.
    stamp : float
        Seconds on the device's clock at the first sample; NaN where it has none.
    samples : array, axes (sample, channel)
        Little-endian, read-only where it was received.
    """

    counter: int
    stamp: float
    samples: npt.NDArray[Any]


class MarkerData(NamedTuple):
    """A MARKER frame: a trigger at the sample with this counter."""

    counter: int
    code: int
    label: str


def crc32c(*parts: bytes) -> int:
    """Return the CRC-32C (Castagnoli) of bytes that follow each other."""
    value: int = google_crc32c.value(parts[0]) if parts else 0
    for part in parts[1:]:
        value = google_crc32c.extend(value, part)
    return value


def encode(kind: Kind, *parts: bytes) -> bytes:
    """Return a frame whose payload is the parts one after another.

    Raises
    ------
    InputError
        The payload is longer than `LIMITS` allows.
    """
    length = sum(len(part) for part in parts)
    if length > LIMITS[kind]:
        raise InputError(
            where=f"{kind.name} frame", expected=f"at most {LIMITS[kind]} bytes", got=str(length)
        )
    head = _HEAD.pack(MAGIC, VERSION, kind, 0, length, crc32c(*parts), 0)[: -_CRC.size]
    return b"".join((head, _CRC.pack(crc32c(head)), *parts))


def encode_data(data: Data) -> bytes:
    """Return a DATA frame."""
    n_samples, n_channels = data.samples.shape
    code = DTYPES.index(data.samples.dtype.name)
    head = _DATA.pack(data.counter, data.stamp, n_samples, n_channels, code, 0)
    return encode(Kind.DATA, head, data.samples.astype(_TYPES[code], copy=False).tobytes())


def encode_marker(marker: MarkerData) -> bytes:
    """Return a MARKER frame; a label beyond `MAX_LABEL` bytes is cut."""
    label = marker.label.encode()[:MAX_LABEL].decode(errors="ignore").encode()
    return encode(Kind.MARKER, _MARKER.pack(marker.counter, marker.code, len(label)), label)


def encode_ping(stamp: float) -> bytes:
    """Return a PING with the asker's own time in seconds."""
    return encode(Kind.PING, _STAMP.pack(stamp))


def encode_pong(ping: bytes, device: float) -> bytes:
    """Return the answer to the payload of a PING, with the device's time in seconds."""
    return encode(Kind.PONG, _PONG.pack(_unpacked(_STAMP, ping)[0], device))


def encode_resume(counter: int) -> bytes:
    """Return a RESUME at a counter, `FROM_NOW` or with `ALL_KEPT`."""
    return encode(Kind.RESUME, _COUNTER.pack(counter))


def encode_bye(reason: str) -> bytes:
    """Return a BYE."""
    return encode(Kind.BYE, reason.encode()[: LIMITS[Kind.BYE]])


def _unpacked(form: struct.Struct, payload: bytes) -> tuple[Any, ...]:
    if len(payload) != form.size:
        raise FrameError(f"{len(payload)} bytes instead of {form.size}")
    return form.unpack(payload)


def read_data(payload: bytes) -> Data:
    """Return what a DATA frame holds; its samples are a view of ``payload``.

    Raises
    ------
    FrameError
        Lengths that do not fit, an unknown type of samples, a counter beyond 63 bits.
    """
    if len(payload) < _DATA.size:
        raise FrameError(f"{len(payload)} bytes are no DATA")
    counter, stamp, n_samples, n_channels, code, _ = _DATA.unpack_from(payload)
    if code >= len(_TYPES) or counter + n_samples > 2**63:
        raise FrameError(f"type {code} and counter {counter}")
    dtype = _TYPES[code]
    expected = n_samples * n_channels * dtype.itemsize
    if expected == 0 or len(payload) - _DATA.size != expected:
        raise FrameError(f"{len(payload)} bytes for {n_samples} x {n_channels} of {dtype}")
    samples = np.frombuffer(payload, dtype=dtype, offset=_DATA.size)
    return Data(counter, stamp, samples.reshape(n_samples, n_channels))


def read_marker(payload: bytes) -> MarkerData:
    """Return what a MARKER frame holds; FrameError where it makes no sense."""
    if len(payload) < _MARKER.size:
        raise FrameError(f"{len(payload)} bytes are no MARKER")
    counter, code, length = _MARKER.unpack_from(payload)
    if len(payload) != _MARKER.size + length or counter >= 2**63:
        raise FrameError(f"a label of {length} bytes in {len(payload)}, counter {counter}")
    return MarkerData(counter, code, payload[_MARKER.size :].decode(errors="replace"))


def read_pong(payload: bytes) -> tuple[float, float]:
    """Return (the asker's time, the device's time) of a PONG."""
    asked, device = _unpacked(_PONG, payload)
    return asked, device


def read_resume(payload: bytes) -> int:
    """Return the counter of a RESUME, which may be `FROM_NOW` or `ALL_KEPT`."""
    (counter,) = _unpacked(_COUNTER, payload)
    return int(counter)


class FrameReader:
    """Cuts a stream of bytes into frames. Any cutting of the bytes gives the same frames.

    Fill `space`, say how much with `took`, then ask for `frames`.

    Attributes
    ----------
    refused : int
        Heads and payloads whose checksum or length was wrong.
    skipped : int
        Bytes passed over.
    """

    def __init__(self) -> None:
        self.refused = self.skipped = 0
        self._buffer = bytearray(_FIRST_BUFFER)
        self._view = memoryview(self._buffer)
        self._at = self._end = 0

    def space(self) -> memoryview:
        """Return where the next bytes go: never empty."""
        if self._at == self._end:
            self._at = self._end = 0
        elif len(self._buffer) - self._end < len(self._buffer) // 4:
            self._move(self._view)
        return self._view[self._end :]

    def took(self, n: int) -> None:
        """Say that ``n`` bytes were written to `space`."""
        self._end += n

    def feed(self, data: bytes) -> list[Frame]:
        """Take bytes of any length; return the frames that are complete."""
        found, at = [], 0
        while at < len(data):
            space = self.space()
            n = min(len(space), len(data) - at)
            space[:n] = data[at : at + n]
            self.took(n)
            at += n
            found += self.frames()
        return found

    def frames(self) -> list[Frame]:
        """Return the frames that have become complete.

        Raises
        ------
        InputError
            The sender speaks another version of the protocol.
        """
        found = []
        while self._end - self._at >= HEAD:
            head = bytes(self._view[self._at : self._at + HEAD])
            if head[:4] != MAGIC:
                self._seek()
                continue
            kind, length, crc = self._checked(head)
            if kind < 0:
                self._refuse()
                continue
            whole = HEAD + length
            if self._end - self._at < whole:
                if len(self._buffer) < whole:
                    self._grow(whole)
                break
            payload = bytes(self._view[self._at + HEAD : self._at + whole])
            if crc32c(payload) != crc:
                self._refuse()
                continue
            self._at += whole
            found.append(Frame(kind, payload))
        return found

    def finish(self) -> list[Frame]:
        """Return the whole frames behind one whose end will never come."""
        found: list[Frame] = []
        while self._end - self._at >= HEAD:
            self._refuse()
            found += self.frames()
        return found

    def _checked(self, head: bytes) -> tuple[int, int, int]:
        """Return (kind, length, crc) of a head; kind -1 where it cannot be believed."""
        _, version, kind, zero, length, crc, own = _HEAD.unpack(head)
        if crc32c(head[: -_CRC.size]) != own:
            return -1, 0, 0
        if version != VERSION:
            raise InputError(
                where="live protocol", expected=f"version {VERSION}", got=f"version {version}",
                fix="use a bridge of the same version",
            )  # fmt: skip
        if length > LIMITS.get(kind, _OTHER_LIMIT) or zero:
            return -1, 0, 0
        return kind, length, crc

    def _refuse(self) -> None:
        """Give up the head here; its length is not to be believed, so look right behind it."""
        self.refused += 1
        self._at += 1
        self.skipped += 1
        self._seek()

    def _seek(self) -> None:
        """Go to the next place where a frame may begin."""
        found = self._buffer.find(MAGIC, self._at, self._end)
        # without one, its first bytes may still be the last that have come
        to = found if found >= 0 else max(self._end - len(MAGIC) + 1, self._at)
        self.skipped += to - self._at
        self._at = to

    def _grow(self, size: int) -> None:
        old = self._view
        self._buffer = bytearray(size + _FIRST_BUFFER)
        self._view = memoryview(self._buffer)
        self._move(old)

    def _move(self, old: memoryview) -> None:
        """Bring what is left of ``old`` to the front."""
        n = self._end - self._at
        self._view[:n] = bytes(old[self._at : self._end])
        self._at, self._end = 0, n
