from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainforge.acquisition import framed
from brainforge.acquisition.framed import Data, Frame, FrameError, FrameReader, Kind, MarkerData
from brainforge.errors import InputError


def data_frame(counter: int = 7, n: int = 5, channels: int = 3, seed: int = 1) -> bytes:
    samples = np.random.default_rng(seed).integers(-(2**31), 2**31, (n, channels), dtype=np.int32)
    return framed.encode_data(Data(counter, 1.5, samples))


def stream() -> bytes:
    return b"".join(
        [
            framed.encode(Kind.HELLO, b'{"a": 1}'),
            data_frame(0),
            framed.encode_marker(MarkerData(3, -9, "go")),
            framed.encode_ping(2.5),
            data_frame(5),
            framed.encode_bye("done"),
        ]
    )


@pytest.mark.parametrize("dtype", framed.DTYPES)
def test_samples_come_back_bit_for_bit(dtype: str) -> None:
    bits = np.random.default_rng(3).integers(0, 256, 7 * 4 * np.dtype(dtype).itemsize, np.uint8)
    samples = bits.view(dtype).reshape(7, 4)  # any bits, NaNs with their payload among them
    (frame,) = FrameReader().feed(framed.encode_data(Data(2**62, -0.25, samples)))
    got = framed.read_data(frame.payload)
    assert (got.counter, got.stamp, got.samples.dtype) == (2**62, -0.25, np.dtype(dtype))
    assert got.samples.tobytes() == samples.tobytes()
    assert not got.samples.flags.writeable


def test_the_bytes_are_those_of_the_document() -> None:
    frame = framed.encode_data(Data(258, 2.0, np.array([[1, -1]], dtype=np.int16)))
    payload = struct.pack("<QdIHBBhh", 258, 2.0, 1, 2, 0, 0, 1, -1)
    start = b"BFLV\x01\x02\x00\x00" + struct.pack("<II", len(payload), framed.crc32c(payload))
    assert frame == start + struct.pack("<I", framed.crc32c(start)) + payload
    # the check value that every description of CRC-32C gives
    assert framed.crc32c(b"123456789") == framed.crc32c(b"1234", b"56789") == 0xE3069283


def test_markers_pings_and_resumes_come_back() -> None:
    frames = FrameReader().feed(
        framed.encode_marker(MarkerData(5, -(2**40), "é" * 400))
        + framed.encode_ping(1.25)
        + framed.encode_pong(struct.pack("<d", 1.25), 9.0)
        + framed.encode_resume(framed.ALL_KEPT)
        + framed.encode_resume(77)
    )
    marker = framed.read_marker(frames[0].payload)
    assert marker == MarkerData(5, -(2**40), "é" * 256)  # cut at 512 bytes, between letters
    assert framed.read_pong(frames[2].payload) == (1.25, 9.0)
    assert [framed.read_resume(f.payload) for f in frames[3:]] == [2**64 - 2, 77]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.integers(0, 400), max_size=30), st.data())
def test_any_cutting_gives_the_same_frames(cuts: list[int], draw: st.DataObject) -> None:
    whole = bytearray(stream())
    for _ in range(draw.draw(st.integers(0, 3))):  # damaged or not
        whole[draw.draw(st.integers(0, len(whole) - 1))] ^= draw.draw(st.integers(1, 255))
    expected = FrameReader().feed(bytes(whole))
    reader, found = FrameReader(), []
    for a, b in zip([0, *sorted(cuts)], [*sorted(cuts), len(whole)], strict=True):
        found += reader.feed(bytes(whole[a:b]))
    assert found == expected


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=2000))
def test_random_bytes_never_give_a_frame(junk: bytes) -> None:
    reader = FrameReader()
    assert reader.feed(junk) == []
    # and the frames that come afterwards are found again
    assert FrameReader().feed(stream())[-1] in reader.feed(stream() + stream())


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200), st.sampled_from([1, 2, 3, 4, 5, 6, 7, 99]))
def test_a_frame_of_random_bytes_is_refused_or_says_what_its_bytes_say(
    payload: bytes, kind: int
) -> None:
    start = struct.pack("<4sBBHII", b"BFLV", 1, kind, 0, len(payload), framed.crc32c(payload))
    reader = FrameReader()
    for frame in reader.feed(start + struct.pack("<I", framed.crc32c(start)) + payload):
        assert frame == Frame(kind, payload)
        for read in (framed.read_data, framed.read_marker, framed.read_pong, framed.read_resume):
            try:
                read(frame.payload)
            except FrameError:
                continue


@pytest.mark.parametrize("at", range(len(data_frame())))
def test_a_flipped_bit_anywhere_costs_this_frame_and_no_other(at: int) -> None:
    first, second, third = data_frame(0), bytearray(data_frame(5)), data_frame(10)
    second[at] ^= 1 << (at % 8)
    found = FrameReader().feed(first + bytes(second) + third)
    assert [framed.read_data(f.payload).counter for f in found] == [0, 10]


@pytest.mark.parametrize("missing", [1, 15, 19, 20, 21, 60])
def test_a_torn_frame_is_passed_over(missing: int) -> None:
    torn = data_frame(5)[:-missing]
    # the reader waits for what is missing until what follows shows that it will not come
    found = FrameReader().feed(data_frame(0) + torn + data_frame(10) + data_frame(15))
    assert [framed.read_data(f.payload).counter for f in found] == [0, 10, 15]


def test_behind_a_torn_frame_at_the_end_the_others_are_found() -> None:
    reader = FrameReader()
    assert reader.feed(data_frame(5, n=50)[:-200] + data_frame(55) + framed.encode_bye("")) == []
    assert [f.kind for f in reader.finish()] == [Kind.DATA, Kind.BYE]
    assert reader.finish() == []


def test_a_hostile_length_reserves_nothing() -> None:
    start = struct.pack("<4sBBHII", b"BFLV", 1, Kind.DATA, 0, 2**32 - 1, 0)
    reader = FrameReader()
    found = reader.feed(start + struct.pack("<I", framed.crc32c(start)) + data_frame(3))
    assert [framed.read_data(f.payload).counter for f in found] == [3]
    assert reader.refused == 1
    assert len(reader.space()) < 1 << 20
    with pytest.raises(InputError, match="BYE frame: expected at most 1024 bytes, got 1025"):
        framed.encode(Kind.BYE, bytes(1025))


def test_a_frame_larger_than_the_buffer_comes_whole() -> None:
    big = data_frame(0, n=500, channels=306)
    assert len(big) > 1 << 18
    reader, found = FrameReader(), []
    for at in range(0, 3 * len(big), 65_536):
        found += reader.feed((3 * big)[at : at + 65_536])
    assert [f.payload for f in found] == 3 * [big[framed.HEAD :]]


def test_another_version_is_named() -> None:
    start = struct.pack("<4sBBHII", b"BFLV", 2, Kind.DATA, 0, 0, 0)
    with pytest.raises(InputError, match="expected version 1, got version 2"):
        FrameReader().feed(start + struct.pack("<I", framed.crc32c(start)))


@pytest.mark.parametrize(
    "head", [(0, 0.0, 2, 2, 7, 0), (2**63, 0.0, 2, 2, 1, 0), (0, 0.0, 0, 2, 1, 0),
             (0, 0.0, 2, 3, 1, 0), (2**63 - 1, 0.0, 2, 2, 1, 0), (0, 0.0, 2**32 - 1, 65535, 3, 0)]
)  # fmt: skip
def test_samples_that_do_not_fit_their_head_are_refused(head: tuple[int, ...]) -> None:
    with pytest.raises(FrameError):
        framed.read_data(struct.pack("<QdIHBB", *head) + bytes(16))
