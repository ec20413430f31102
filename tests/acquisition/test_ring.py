"""The ring: what goes in comes out, gaps show, and what is overwritten is never handed out."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainforge.acquisition.ring import MAX_EVENTS, Overrun, Ring, State
from brainforge.errors import InputError, OutputError


def samples(start: int, n: int, channels: int = 3) -> np.ndarray:
    """Return samples that say their own absolute index, axes (sample, channel)."""
    return (np.arange(start, start + n)[:, None] * 10 + np.arange(channels)).astype(np.int32)


@pytest.fixture
def ring(tmp_path: Path):
    made = Ring.create(tmp_path / "ring", 3, np.int32, 100)
    yield made
    made.close()


@settings(max_examples=60, deadline=None)
@given(
    pieces=st.lists(st.tuples(st.integers(1, 40), st.sampled_from([0, 0, 0, 1, 7])), max_size=12),
    resume=st.booleans(),
)
def test_what_goes_in_comes_out(tmp_path_factory, pieces, resume) -> None:
    path = tmp_path_factory.mktemp("ring") / "ring"
    writer = Ring.create(path, 3, np.int32, 100)
    reader = Ring.attach(path)
    at, stored = 1000, 0
    expected: list[int] = []
    for n, gap in pieces:
        if resume:
            writer.close()
            writer = Ring.attach(path, writable=True)
        at += gap
        writer.write(samples(at, n), at, at + 5, 77)
        expected += range(at, at + n)
        at, stored = at + n, stored + n
    first = max(stored - 100, 0)
    assert (reader.received, reader.oldest) == (stored, first)
    got = reader.read(first, stored)
    assert [i for s in got for i in range(s.start, s.start + len(s.data))] == expected[first:]
    for s in got:
        assert np.array_equal(s.data, samples(s.start, len(s.data)))
        assert s.counter == s.start + 5
        assert (s.arrival == 77).all()
        assert expected[s.stored] == s.start
    for one, other in pairwise(got):
        assert other.start > one.start + len(one.data)
    writer.close()
    reader.close()


def test_a_reader_that_is_too_late_is_told(ring: Ring) -> None:
    ring.write(samples(0, 90), 0, -1, 1)
    ring.write(samples(90, 60), 90, -1, 1)
    with pytest.raises(Overrun) as caught:
        ring.read(49, 60)
    assert caught.value.oldest == 50
    (stretch,) = ring.read(50, 150)
    assert stretch.start == 50
    assert stretch.counter == -1


def test_samples_that_have_not_come_are_refused(ring: Ring) -> None:
    ring.write(samples(0, 5), 0, 0, 1)
    with pytest.raises(InputError, match="at most 5"):
        ring.read(0, 6)
    with pytest.raises(InputError, match="at most 100"):
        ring.write(samples(0, 101), 0, 0, 1)


def test_room_is_what_is_committed(ring: Ring) -> None:
    ring.write(samples(0, 60), 0, 0, 1)
    assert ring.room() == 40
    ring.logged = ring.committed = 25
    assert (ring.room(), ring.logged, ring.committed, ring.sealed) == (65, 25, 25, 0)


def test_events_and_words(ring: Ring, tmp_path: Path) -> None:
    reader = Ring.attach(tmp_path / "ring")
    ring.note_event(12, 5, "STI 101")
    ring.note_event(30, -2, "µ")
    assert reader.events(0) == (2, [(12, 5, "STI 101"), (30, -2, "µ")])
    assert reader.events(1) == (2, [(30, -2, "µ")])
    for i in range(MAX_EVENTS):
        ring.note_event(i, 1, "")
    n, held = reader.events(0)
    assert (n, len(held), held[-1][0]) == (MAX_EVENTS + 2, MAX_EVENTS, MAX_EVENTS - 1)
    ring.state, ring.heartbeat, ring.generation = State.RECORDING, 99, 3
    assert (reader.state, reader.heartbeat, reader.generation) == (State.RECORDING, 99, 3)
    assert reader.of_this_boot
    reader.close()


def test_not_a_ring(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"0" * 8192)
    with pytest.raises(InputError, match="expected a ring"):
        Ring.attach(tmp_path / "x")
    with pytest.raises(InputError, match="expected a ring"):
        Ring.attach(tmp_path / "y")
    Ring.create(tmp_path / "z", 1, np.int16, 10).close()
    with pytest.raises(OutputError, match="no ring"):
        Ring.create(tmp_path / "z", 1, np.int16, 10)


WRITER = """
import sys, numpy as np, pathlib
from brainforge.acquisition.ring import Ring
ring = Ring.attach(pathlib.Path(sys.argv[1]), writable=True)
at = 0
while True:
    n = 1 + at % 23
    ring.write((np.arange(at, at + n)[:, None] * 10 + np.arange(3)).astype("i4"), at, at, 1)
    at += n
"""


def test_the_ring_outlives_its_writer(tmp_path: Path) -> None:
    """Killed in the middle of whatever it does, the writer leaves only whole samples."""
    ring = Ring.create(tmp_path / "ring", 3, np.int32, 4000)
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path / "ring")])
    try:
        deadline = time.monotonic() + 30
        while ring.received < 20000 and time.monotonic() < deadline:
            # a reader beside a racing writer gets whole samples or is told that it is too late
            try:
                last = ring.received
                for s in ring.read(max(last - 500, 0), last):
                    assert np.array_equal(s.data, samples(s.start, len(s.data)))
            except Overrun:
                continue
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    first, last = ring.oldest, ring.received
    assert last >= 20000
    (stretch,) = ring.read(first, last)
    assert stretch.start == first
    assert np.array_equal(stretch.data, samples(first, last - first))
    ring.close()
