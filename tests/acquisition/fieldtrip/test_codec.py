"""The bytes: as the protocol's description has them, in both orders, and whatever else comes."""

from __future__ import annotations

import contextlib
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainforge.acquisition.fieldtrip.codec import (
    BIG,
    DTYPES,
    LITTLE,
    ChunkType,
    Command,
    Header,
    Malformed,
    data_type_of,
    decode_data_head,
    decode_header,
    encode_data_head,
    encode_header,
    name_chunk,
    unwrap,
    wire_of,
)
from brainforge.acquisition.fieldtrip.events import Event, decode_events, encode_events
from brainforge.errors import InputError

WIRES = pytest.mark.parametrize("wire", [LITTLE, BIG], ids=["little", "big"])


def test_header_has_the_documented_bytes() -> None:
    header = Header(81920, 0.5, data_type_of("int16"), chunks=((5, bytes(348)),))
    message = LITTLE.ask(Command.PUT_HDR, encode_header(LITTLE, header))
    assert message[:8] == struct.pack("<HHI", 1, 0x101, 380)
    assert message[8:32] == struct.pack("<IIIfII", 81920, 0, 0, 0.5, 6, 356)
    assert message[32:40] == struct.pack("<II", 5, 348)


def test_events_have_the_documented_bytes() -> None:
    events = [Event.make("Button", "Left", 10), Event.make("Button", "Right", 12)]
    payload = encode_events(LITTLE, events)
    assert len(payload) == 85
    assert payload[:32] == struct.pack("<IIIIiiiI", 0, 6, 0, 4, 10, 0, 0, 10)
    assert payload[32:42] == b"ButtonLeft"


@WIRES
def test_header_goes_there_and_back(wire) -> None:
    gains = np.array([1e-15, 2.0, -3.5]).tobytes()
    chunks = (name_chunk(("MEG0111", "Ö2", "")), (int(ChunkType.RESOLUTIONS), gains), (77, b"?"))
    header = Header(3, 600.615, 9, 5, 6, chunks)
    again = decode_header(wire, encode_header(wire, header))
    assert again.chunks == chunks
    assert again.names == ("MEG0111", "Ö2", "CH003")
    assert (again.n_samples, again.n_events, again.dtype) == (5, 6, np.dtype("float32"))
    assert again.sfreq == np.float32(600.615)


def test_big_endian_numbers_in_chunks_are_turned() -> None:
    payload = encode_header(BIG, Header(1, 1.0, 6, chunks=((3, struct.pack("<d", 0.25)),)))
    assert payload.endswith(struct.pack(">d", 0.25))


@WIRES
@pytest.mark.parametrize("dtype", DTYPES)
def test_all_data_types(wire, dtype) -> None:
    number = data_type_of(dtype)
    assert DTYPES[number] == dtype
    head = encode_data_head(wire, 3, 7, number)
    size = 16 + 21 * np.dtype(dtype).itemsize
    assert decode_data_head(wire, head, size) == (3, 7, number)


def test_characters_are_bytes() -> None:
    assert Header(2, 1.0, 0).dtype == np.int8


@WIRES
@pytest.mark.parametrize(
    "value", ["left", "", 5, -2.5, (1, 2, 3), (0.5, 1e300)], ids=lambda v: repr(v)
)
def test_events_go_there_and_back(wire, value) -> None:
    events = [Event.make(value, "x", -1, 4), Event.make("STI101", value, 2**31 - 1)]
    again = decode_events(wire, encode_events(wire, events))
    assert again == events
    assert (again[0].kind, again[1].value) == (value, value)


@pytest.mark.parametrize("dtype", DTYPES[1:])
def test_events_hold_any_number(dtype) -> None:
    value = np.array([7], dtype).tobytes()
    event = Event(0, b"t", data_type_of(dtype), value, 3)
    for wire in (LITTLE, BIG):
        again = decode_events(wire, encode_events(wire, [event]))
        assert again == [event]
        assert again[0].value == 7


@pytest.mark.parametrize(
    "fields",
    [
        (0, 0, 0, 1000.0, 9, 0),
        (2**32 - 1, 0, 0, 1000.0, 10, 0),
        (2, 0, 0, float("nan"), 9, 0),
        (2, 0, 0, float("inf"), 9, 0),
        (2, 0, 0, 0.0, 9, 0),
        (2, 0, 0, -1.0, 9, 0),
        (2, 0, 0, 1000.0, 11, 0),
        (2, 0, 0, 1000.0, 2**32 - 1, 0),
        (2, 0, 0, 1000.0, 9, 2**32 - 1),
    ],
    ids=str,
)
def test_hostile_headers_are_refused(fields) -> None:
    with pytest.raises(Malformed, match="expected"):
        decode_header(LITTLE, struct.pack("<IIIfII", *fields))


def test_hostile_sizes_are_refused() -> None:
    with pytest.raises(Malformed, match="chunk"):
        decode_header(LITTLE, struct.pack("<IIIfIIII", 2, 0, 0, 1.0, 9, 8, 1, 2**32 - 1))
    with pytest.raises(Malformed, match="bytes for"):
        decode_data_head(LITTLE, struct.pack("<IIII", 65536, 65536, 10, 0), 16)
    with pytest.raises(Malformed, match="type and value"):
        decode_events(LITTLE, struct.pack("<IIIIiiiI", 4, 2**32 - 1, 0, 0, 0, 0, 0, 0))
    with pytest.raises(Malformed, match="version 1"):
        wire_of(b"GET / HTTP/1.1")
    with pytest.raises(InputError, match="complex128"):
        data_type_of("complex128")


@given(st.binary(max_size=200), st.booleans())
def test_random_bytes_are_read_or_refused(data: bytes, big: bool) -> None:
    wire = BIG if big else LITTLE
    for decode in (decode_header, decode_events, lambda w, d: decode_data_head(w, d, len(d))):
        with contextlib.suppress(Malformed):
            decode(wire, data)


@given(st.integers(0, 300), st.booleans())
def test_any_cut_is_refused(cut: int, big: bool) -> None:
    wire = BIG if big else LITTLE
    header = encode_header(wire, Header(2, 1.0, 9, chunks=(name_chunk(("a", "b")), (7, b"x" * 40))))
    events = encode_events(wire, [Event.make("Button", 5, 10)])
    for whole, decode in ((header, decode_header), (events, decode_events)):
        part = whole[: cut % len(whole)]
        if decode is decode_events and not part:
            assert decode(wire, part) == []
            continue
        with pytest.raises(Malformed):
            decode(wire, part)


@given(st.integers(0, 2**40), st.integers(-(2**31), 2**31 - 1))
def test_unwrap(near: int, away: int) -> None:
    assert unwrap((near + away) % 2**32, near) == near + away
