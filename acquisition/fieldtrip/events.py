"""Events of the FieldTrip buffer: a type and a value, text or numbers, at a sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from brainforge.acquisition.fieldtrip.codec import (
    BIG,
    CHAR,
    DTYPES,
    LITTLE,
    Bytes,
    Malformed,
    Wire,
    data_type_of,
)

#: the sample number by which a sender lets the server fill in how many samples it has
AUTO_SAMPLE: Final = -1
#: what the type and the value of one event may take together
MAX_EVENT_BYTES: Final = 64 << 10

Value = str | int | float | tuple[int | float, ...]


@dataclass(frozen=True)
class Event:
    """One event.

    Parameters
    ----------
    type_type, value_type : int
        The protocol's numbers of the data types.
    type_data, value_data : bytes
        Their contents, little-endian.
    sample : int
        Number of the sample it belongs to, from 0, as a signed 32-bit number.
    offset, duration : int
        In samples.
    """

    type_type: int
    type_data: bytes
    value_type: int
    value_data: bytes
    sample: int
    offset: int = 0
    duration: int = 0

    @classmethod
    def make(cls, kind: Value, value: Value, sample: int = AUTO_SAMPLE, duration: int = 0) -> Event:
        """Return an event of text, an integer (int32), a float (float64) or several of them."""
        return cls(*_content(kind), *_content(value), sample, 0, duration)

    @property
    def kind(self) -> Value:
        """The type, as text, one number or several."""
        return _value(self.type_type, self.type_data)

    @property
    def value(self) -> Value:
        """The value, as text, one number or several."""
        return _value(self.value_type, self.value_data)

    @property
    def nbytes(self) -> int:
        """Size on the wire."""
        return LITTLE.event.size + len(self.type_data) + len(self.value_data)


def _content(value: Value) -> tuple[int, bytes]:
    if isinstance(value, str):
        return CHAR, value.encode()
    array = np.atleast_1d(value)
    array = array.astype("<i4" if array.dtype.kind in "iu" else "<f8")
    return data_type_of(array.dtype), array.tobytes()


def _value(data_type: int, data: bytes) -> Value:
    if data_type == CHAR:
        return data.rstrip(b"\0").decode("utf-8", errors="replace")
    numbers = np.frombuffer(data, dtype=np.dtype(DTYPES[data_type]).newbyteorder("<")).tolist()
    return numbers[0] if len(numbers) == 1 else tuple(numbers)


def _turned(wire: Wire, data_type: int, data: bytes) -> bytes:
    """Turn contents between the wire's byte order and little-endian."""
    if wire is not BIG or not data:
        return data
    return np.frombuffer(data, dtype=DTYPES[data_type]).byteswap().tobytes()


def encode_events(wire: Wire, events: list[Event]) -> bytes:
    """Return the payload of PUT_EVT, or of the answer to GET_EVT."""
    parts: list[bytes] = []
    for event in events:
        sizes = len(event.type_data), len(event.value_data)
        counts = (
            sizes[0] // np.dtype(DTYPES[event.type_type]).itemsize,
            sizes[1] // np.dtype(DTYPES[event.value_type]).itemsize,
        )
        parts += [
            wire.event.pack(
                event.type_type, counts[0], event.value_type, counts[1],
                event.sample, event.offset, event.duration, sum(sizes),
            ),
            _turned(wire, event.type_type, event.type_data),
            _turned(wire, event.value_type, event.value_data),
        ]  # fmt: skip
    return b"".join(parts)


def decode_events(wire: Wire, payload: Bytes) -> list[Event]:
    """Return the events that a payload holds.

    Raises
    ------
    Malformed
        Where a size does not fit.
    """
    data, at, events = memoryview(payload), 0, []
    while at < len(data):
        left = len(data) - at - wire.event.size
        if left < 0:
            raise _malformed("an event's head of 32 bytes", left + wire.event.size)
        fields: tuple[Any, ...] = wire.event.unpack_from(data, at)
        type_type, n_type, value_type, n_value, sample, offset, duration, size = fields
        if max(type_type, value_type) >= len(DTYPES):
            raise _malformed(f"data types below {len(DTYPES)}", max(type_type, value_type))
        first = n_type * np.dtype(DTYPES[type_type]).itemsize
        due = first + n_value * np.dtype(DTYPES[value_type]).itemsize
        if due != size or size > min(left, MAX_EVENT_BYTES):
            raise _malformed(f"{due} bytes of type and value, of {left} that came", size)
        at += wire.event.size
        kind, value = bytes(data[at : at + first]), bytes(data[at + first : at + size])
        kind, value = _turned(wire, type_type, kind), _turned(wire, value_type, value)
        events.append(Event(type_type, kind, value_type, value, sample, offset, duration))
        at += size
    return events


def _malformed(expected: str, got: object) -> Malformed:
    return Malformed(where="FieldTrip event", expected=expected, got=str(got))
