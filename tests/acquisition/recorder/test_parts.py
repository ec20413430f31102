"""Frames, ledger, segments, spec and status, each by itself."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainforge.acquisition.notice import Notice, What
from brainforge.acquisition.recorder.disk import Disk
from brainforge.acquisition.recorder.frame import (
    Kind,
    Samples,
    Writer,
    pack_json,
    pack_samples,
    samples_bytes,
    scan,
    unpack_samples,
)
from brainforge.acquisition.recorder.ledger import UNTOLD, Ledger
from brainforge.acquisition.recorder.segments import Segments
from brainforge.acquisition.recorder.spec import Spec
from brainforge.acquisition.recorder.status import Status, finite
from brainforge.acquisition.recorder.wal import LogReader
from brainforge.errors import InputError
from brainforge.feed import FeedReader
from brainforge.recording import Event, Gap
from tests.acquisition.recorder.desk import Desk

ME = Writer(0x1234, 3)


@given(
    n=st.integers(1, 20),
    channels=st.integers(1, 5),
    dtype=st.sampled_from(["int16", "int32", "float32", "float64"]),
    before=st.binary(max_size=40),
    whose=st.sampled_from([0x1234, 0x9999]),
)
def test_frames_are_found_again(n, channels, dtype, before, whose) -> None:
    data = np.arange(n * channels).reshape(n, channels).astype(dtype)
    samples = Samples(10**12, -1, 17, 2.5, data)
    one = b"".join(memoryview(b).cast("B") for b in pack_samples(ME, 5, samples))
    assert len(one) == samples_bytes(n, channels, data.itemsize)
    other = pack_json(ME, 6, Kind.NOTICE, {"a": 1})
    whole = before + one + b"BFW1junk" + other
    found = list(scan(whole, whose))
    if whose != ME.recording:
        assert found == []
        return
    assert [(f.kind, f.number, f.generation) for f in found] == [
        (Kind.SAMPLES, 5, 3), (Kind.NOTICE, 6, 3),
    ]  # fmt: skip
    back = unpack_samples(whole[found[0].offset : found[0].end], np.dtype(dtype))
    assert np.array_equal(back.data, data)
    assert (back.start, back.counter, back.arrival_ns, back.stamp) == (10**12, -1, 17, 2.5)
    assert json.loads(whole[found[1].offset : found[1].end]) == {"a": 1}


@given(at=st.integers(0, 10**6), bit=st.integers(0, 7))
def test_a_turned_bit_is_never_a_frame(at, bit) -> None:
    one = bytearray(pack_json(ME, 5, Kind.EVENT, {"sample": 3, "code": 1, "channel": "x"}))
    one[at % len(one)] ^= 1 << bit
    assert list(scan(bytes(one), ME.recording)) == []


def test_a_length_beyond_reason_is_not_believed() -> None:
    one = bytearray(pack_json(ME, 5, Kind.EVENT, {}))
    one[8:12] = b"\xff\xff\xff\xff"
    assert list(scan(bytes(one), ME.recording)) == []


def write_frames(path, frames):
    path.write_bytes(b"".join(frames))


def test_a_later_generation_makes_void_what_it_did_not_find(tmp_path) -> None:
    old, new = Writer(1, 1), Writer(1, 2)
    says = [pack_json(old, k, Kind.NOTICE, {"old": k}) for k in range(6)]
    write_frames(tmp_path / "000000.log", says)
    after = [pack_json(new, k, Kind.NOTICE, {"new": k}) for k in (3, 4)]
    write_frames(tmp_path / "000001.log", after)
    with LogReader(tmp_path, 1) as log:
        got = [json.loads(payload) for _, payload in log]
    assert got == [{"old": 0}, {"old": 1}, {"old": 2}, {"new": 3}, {"new": 4}]
    assert (log.missing, log.last) == ([], 4)


def test_frames_written_twice_count_once(tmp_path) -> None:
    says = [pack_json(ME, k, Kind.NOTICE, {"k": k}) for k in range(4)]
    write_frames(tmp_path / "000000.log", [says[0], says[1][:-3], says[2]])
    write_frames(tmp_path / "000001.log", says[1:])
    with LogReader(tmp_path, ME.recording) as log:
        assert [f.place.number for f, _ in log] == [0, 1, 2, 3]
        assert log.missing == []
    with LogReader(tmp_path, ME.recording, after=1) as log:
        assert [f.place.number for f, _ in log] == [2, 3]


def gap(start, stop, cause="x", exact=True):
    return Notice(What.GAP, start, stop, cause, exact)


@given(
    steps=st.lists(
        st.tuples(st.integers(1, 9), st.integers(0, 5), st.integers(0, 3), st.booleans()),
        max_size=12,
    ),
    data=st.data(),
)
def test_the_ledger_always_holds(steps, data) -> None:
    """Whatever was told, right, wrong or twice: received = stored + gaps."""
    ledger, at = Ledger(), 0
    for n, lost, told, tell in steps:
        if tell:
            ledger.note(gap(at + told - 1, at + lost))
        at += lost
        ledger.add(at, at + n)
        at += n
    account = ledger.account({})
    missing = sum(g.stop - g.start for g in account.gaps)
    assert account.stop - account.start == ledger.stored + missing
    segments = account.segments()
    assert sum(s.stop - s.start for s in segments) == ledger.stored
    assert list(account.gaps) == sorted(account.gaps, key=lambda g: g.start)
    for notice in ledger.explain([], "?"):
        ledger.note(notice)
    assert ledger.untold() == []
    assert ledger.account({}).gaps == tuple(
        Gap(g.start, g.stop, "?" if g.cause == UNTOLD else g.cause) for g in account.gaps
    )


def test_causes_are_joined_to_their_gaps() -> None:
    ledger = Ledger()
    ledger.add(0, 10)
    ledger.note(gap(10, 15, "cut"))
    ledger.note(gap(15, 17, "silent", exact=False))
    ledger.add(20, 30)
    ledger.note(gap(30, 32, "end"))
    ledger.note(Event(29, 1, "marker"))
    ledger.note(Event(40, 1, "marker"))
    account = ledger.account({})
    assert account.gaps == (
        Gap(10, 15, "cut"), Gap(15, 17, "silent"), Gap(17, 20, UNTOLD), Gap(30, 32, "end"),
    )  # fmt: skip
    assert (account.start, account.stop, account.exact) == (0, 32, False)
    assert [e.sample for e in account.events] == [29]
    assert (ledger.n_gaps, ledger.lost) == (1, 10)
    with pytest.raises(InputError, match="samples from 30 on"):
        ledger.add(29, 31)


def test_segments_are_there_before_they_are_needed(tmp_path) -> None:
    segments = Segments(tmp_path, 1000, Disk())
    segments.prepare()
    assert [p.stat().st_size for p in tmp_path.iterdir()] == [1000]
    segments.write(0, [[b"a" * 600]])
    segments.prepare()
    segments.write(0, [[b"b" * 600]])  # the first has no room for it
    segments.write(1, [[b"c" * 3000]])  # nor has any
    segments.sync()
    sizes = sorted(p.stat().st_size for p in tmp_path.iterdir())
    assert sizes == [1000, 1000, 3000]
    segments.drop(1)
    assert [p.name for p in tmp_path.iterdir()] == ["000002.log"]
    segments.close()


def test_a_spec_comes_back(tmp_path) -> None:
    spec = Spec("lsl:X", "a.zarr", {"k": 1}, 2.5, counter_channel="C", recording_id="ab")
    path = tmp_path / "spec.json"
    path.write_text(spec.to_json())
    assert Spec.from_file(path) == spec
    path.write_text("[1")
    with pytest.raises(InputError, match="spec"):
        Spec.from_file(path)


def test_the_status_says_what_is_wrong(tmp_path) -> None:
    desk = Desk(tmp_path).begin()
    memory = tmp_path / "memory" / "x.feed"
    status = Status(tmp_path / "feed", "desk", memory)
    reader = FeedReader(tmp_path / "feed")

    def said():
        status.publish("recording", desk.recording)
        return reader.latest("recorder").meta

    desk.samples(20).cycle().samples(5)
    meta = said()
    assert (meta["stored"], meta["committed"], meta["buffered_s"]) == (25, 20, 0.05)
    assert meta["alarm"] == ""
    desk.log.busy_since = time.monotonic() - 7
    assert "has not answered for 7 s" in said()["alarm"]
    desk.log.busy_since = None
    desk.disk.faults["sync"] = 1
    desk.cycle()
    assert "the disk reports: injected" in said()["alarm"]
    desk.recording.on_full("no room")
    assert "full" in said()["alarm"]
    status.publish("ended", desk.recording)
    status.close()
    assert not memory.exists()
    assert reader.replaced
    reader.close()
    reader = FeedReader(tmp_path / "feed")
    assert reader.latest("recorder").meta["state"] == "ended"
    reader.close()
    desk.close()


def test_only_finite_numbers_are_published() -> None:
    assert finite({"a": [float("nan"), 1.0], "b": (float("inf"), {"c": 2})}) == {
        "a": [None, 1.0], "b": [None, {"c": 2}],
    }  # fmt: skip
