from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainforge.acquisition import framed
from brainforge.acquisition.bridge_buffer import Entry, SendBuffer
from brainforge.acquisition.framed import HEAD, Data, MarkerData


def entry(counter: int, n: int) -> Entry:
    samples = (counter + np.arange(n, dtype=np.int32))[:, None]
    return Entry(framed.encode_data(Data(counter, counter / 100.0, samples)), counter, n)


def filled(
    counters: list[int], n: int = 10, keep: int = 10_000, bits: int | None = None
) -> SendBuffer:
    buffer = SendBuffer(keep, 100.0, bits)
    for counter in counters:
        buffer.append(entry(counter, n))
    return buffer


def sent(buffer: SendBuffer, counter: int) -> list[int]:
    """Return the counters of the samples that a receiver gets who resumes there."""
    number, rest = buffer.since(counter)
    frames = [rest] if rest else []
    while found := buffer.take(number):
        number = found[0] + 1
        frames.append(found[1])
    parts = [framed.read_data(frame[HEAD:]) for frame in frames]
    for part in parts:
        assert part.stamp == pytest.approx(part.counter / 100.0)
        assert part.samples[0, 0] == part.counter
    return [part.counter + i for part in parts for i in range(len(part.samples))]


@given(st.integers(0, 120))
def test_a_receiver_goes_on_at_the_very_sample(counter: int) -> None:
    assert sent(filled([0, 10, 20, 50, 60]), counter) == [
        c for c in [*range(30), *range(50, 70)] if c >= counter
    ]


def test_of_a_counter_that_wraps_the_last_time_round_is_meant() -> None:
    buffer = filled([230, 240, 250, 4, 14], bits=8)  # 250 to 255, then 0 to 3
    number, rest = buffer.since(2)
    assert (framed.read_data(rest[HEAD:]).counter, number) == (2, 3)
    number, rest = buffer.since(245)
    assert (framed.read_data(rest[HEAD:]).counter, number) == (245, 2)
    assert buffer.since(24) == (5, b"")


def test_a_marker_of_a_wanted_sample_comes_again() -> None:
    buffer = filled([0])
    for at in (3, 12):
        buffer.append(Entry(framed.encode_marker(MarkerData(at, 1, "")), at, 0))
    buffer.append(entry(10, 10))
    assert buffer.since(10) == (2, b"")  # the marker at 12, then its samples
    number, rest = buffer.since(5)  # one that was sent late hides no samples
    assert (framed.read_data(rest[HEAD:]).counter, number) == (5, 2)


def test_the_oldest_go_and_only_what_nobody_had_is_counted() -> None:
    buffer = filled([0, 10, 20], keep=30)
    buffer.take(0)
    assert (buffer.dropped, buffer.end) == (0, 3)
    for counter in (30, 40):
        buffer.append(entry(counter, 10))
    assert buffer.dropped == 10  # frame 0 had been delivered, frame 1 not
    assert sent(buffer, 0) == list(range(20, 50))
    assert buffer.take(0) == buffer.take(2)  # the first that is still held
    assert buffer.take(5) is None


def test_a_packet_longer_than_the_buffer_is_still_sent() -> None:
    buffer = filled([0, 40], n=40, keep=10)
    assert sent(buffer, 0) == list(range(40, 80))
