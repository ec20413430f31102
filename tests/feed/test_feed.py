"""The feed: newest wins, nobody is waited for, what is missed is counted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from brainforge.errors import InputError
from brainforge.feed import FeedReader, FeedWriter, LastingReader

TOPICS = {"traces": 100_000, "status": 2000}


@pytest.fixture
def writer(tmp_path: Path):
    made = FeedWriter(tmp_path / "feed", TOPICS)
    yield made
    made.close()


def test_newest_wins_and_drops_are_counted(writer: FeedWriter) -> None:
    reader = FeedReader(writer.path)
    assert reader.topics == ("traces", "status")
    assert reader.latest("traces") is None
    data = np.arange(12, dtype=np.float32).reshape(3, 4)
    for i in range(5):
        writer.publish(
            "traces", {"sample": i, "arrival": 10.0}, {"data": data + i, "none": data[:0]}
        )
    got = reader.latest("traces")
    assert got is not None
    assert (got.sequence, got.meta["sample"], got.dropped) == (5, 4, 0)
    assert np.array_equal(got.arrays["data"], data + 4)
    assert got.arrays["none"].shape == (0, 4)
    assert got.age(now=10.25) == 0.25
    assert reader.latest("traces", fresh=True) is None
    again = reader.latest("traces")
    assert again is not None
    assert again.sequence == 5
    for i in range(3):
        writer.publish("traces", {"sample": 10 + i})
    got = reader.latest("traces", fresh=True)
    assert got is not None
    assert (got.sequence, got.dropped) == (8, 2)
    reader.close()


def test_mistakes_are_refused(writer: FeedWriter, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="one of traces, status"):
        writer.publish("maps", {})
    with pytest.raises(InputError, match="bytes at most"):
        writer.publish("status", {"text": "x" * 3000})
    with pytest.raises(ValueError, match="JSON compliant"):
        writer.publish("status", {"value": float("nan")})
    with pytest.raises(InputError, match="expected a feed"):
        FeedReader(tmp_path / "nothing")
    (tmp_path / "other").write_bytes(b"x" * 5000)
    with pytest.raises(InputError, match="expected a feed"):
        FeedReader(tmp_path / "other")
    with pytest.raises(InputError, match="fewer topics"):
        FeedWriter(tmp_path / "many", {f"topic {i}": 10 for i in range(500)})


def test_a_process_that_takes_over_is_noticed(writer: FeedWriter) -> None:
    reader = FeedReader(writer.path)
    writer.publish("status", {"a": 1})
    other = FeedWriter(writer.path, TOPICS)
    assert reader.replaced
    kept = reader.latest("status")
    assert kept is not None
    assert kept.meta == {"a": 1}
    fresh = FeedReader(writer.path)
    assert not fresh.replaced
    assert fresh.latest("status") is None
    for part in (reader, fresh, other):
        part.close()


def test_a_lasting_reader_follows_whoever_writes(tmp_path: Path) -> None:
    reader = LastingReader(tmp_path / "feed")
    assert reader.latest("status") is None
    one = FeedWriter(tmp_path / "feed", TOPICS)
    assert reader.latest("status") is None
    assert reader.topics == ("traces", "status")
    one.publish("status", {"by": "one"})
    got = reader.latest("status")
    assert got is not None
    assert got.meta == {"by": "one"}
    assert reader.latest("maps") is None
    other = FeedWriter(tmp_path / "feed", TOPICS)
    assert reader.latest("status") is None
    other.publish("status", {"by": "other"})
    got = reader.latest("status")
    assert got is not None
    assert got.meta == {"by": "other"}
    for part in (reader, one, other):
        part.close()


RACE = """
import sys, pathlib, numpy as np
from brainforge.feed import FeedWriter
feed = FeedWriter(pathlib.Path(sys.argv[1]), {"x": 70000})
print("ready", flush=True)
for i in range(20000):
    feed.publish("x", {"i": i}, {"a": np.full(300 + i % 5, i)})
"""


def test_a_reader_beside_a_racing_writer_sees_whole_snapshots(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", RACE, str(tmp_path / "feed")], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        reader, last, seen = FeedReader(tmp_path / "feed"), 0, 0
        while last < 20000:
            got = reader.latest("x", fresh=True)
            if got is None:
                assert process.poll() is None or last == 20000 or reader.latest("x") is not None
                continue
            assert got.sequence > last
            assert got.meta["i"] == got.sequence - 1
            assert (got.arrays["a"] == got.meta["i"]).all()
            assert got.dropped == (got.sequence - last - 1 if last else 0)
            last, seen = got.sequence, seen + 1
        assert seen > 10
        reader.close()


@pytest.mark.parametrize("damage", [b"\xff" * 8, (9).to_bytes(8, "little") + b"nonsense}"])
def test_a_damaged_feed_is_told(writer: FeedWriter, damage: bytes) -> None:
    with open(writer.path, "r+b") as file:
        file.seek(8)
        file.write(damage)
    with pytest.raises(InputError, match="expected a feed, got a damaged one"):
        FeedReader(writer.path)


def test_where_there_is_no_room_nothing_is_left(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"[Nn]o space|too large"):
        FeedWriter(tmp_path / "feed", {"huge": 1 << 60})
    assert list(tmp_path.iterdir()) == []
