"""The write cycle on disks that fail, fill up or hang."""

from __future__ import annotations

import errno
import threading
import time
from itertools import pairwise

import numpy as np
import pytest

from brainforge.acquisition.recorder.frame import recording_number, scan
from brainforge.acquisition.recorder.repair import inspect, repair
from brainforge.acquisition.recorder.segments import segment_paths
from brainforge.errors import OutputError
from tests.acquisition.recorder.desk import ID, Desk, FaultyDisk
from tests.acquisition.recorder.test_replay import check_small


@pytest.fixture
def desk(tmp_path):
    desk = Desk(tmp_path)
    yield desk
    desk.close()


def numbers(path):
    return [p.number for p in scan(path.read_bytes(), recording_number(ID))]


def fill(desk) -> None:
    """Write until it is refused."""
    for _ in range(10**6):
        desk.samples(10)


def again(desk) -> None:
    """Let the time until the next attempt pass."""
    desk.log._not_before = 0.0


def test_nothing_is_committed_before_it_is_synced(desk) -> None:
    desk.begin()
    committed_at_sync = []
    plain = desk.disk.sync
    desk.disk.sync = lambda file: (committed_at_sync.append(desk.ring.committed), plain(file))
    desk.samples(5)
    assert (desk.ring.received, desk.ring.logged, desk.ring.committed) == (5, 0, 0)
    desk.cycle()
    assert (desk.ring.received, desk.ring.logged, desk.ring.committed) == (5, 5, 5)
    assert committed_at_sync[0] == 0


@pytest.mark.parametrize("call", ["write", "sync"])
@pytest.mark.parametrize("times", [1, 3])
def test_what_was_not_synced_is_written_again_elsewhere(desk, call, times) -> None:
    desk.begin().samples(5).cycle()
    desk.disk.faults[call] = times
    desk.samples(7)
    for k in range(times):
        again(desk)
        desk.cycle()
        assert desk.ring.committed == 5, k
        assert desk.log.trouble == "injected"
        assert inspect(desk.out)["stored"] >= 5
    again(desk)
    desk.samples(4).cycle()
    assert (desk.ring.committed, desk.log.trouble) == (16, "")
    # the suspect file keeps what had been synced; nothing was written to it any more
    with_frames = [p for p in segment_paths(desk.live / "wal") if numbers(p)]
    assert len(with_frames) == 2
    assert 1 in numbers(with_frames[1])
    desk.cycle()
    assert inspect(desk.out)["ledger"] == {"recorder": 1}
    desk.die()
    desk.lose_memory()
    assert repair(desk.out)["stored"] == 16
    check_small(desk)


def test_a_failed_sync_across_a_shards_end(desk) -> None:
    desk.begin().samples(35).cycle()
    desk.disk.faults["sync"] = 1
    desk.samples(20).cycle()
    assert desk.ring.committed == 35
    again(desk)
    desk.cycle()
    assert desk.ring.committed == 55
    desk.seal()
    desk.samples(30).cycle()
    desk.seal()
    desk.finish()
    assert check_small(desk)["stored"] == 85


def test_attempts_become_rarer(desk) -> None:
    desk.begin().samples(5)
    desk.disk.faults["sync"] = 10**6
    waits = []
    for _ in range(7):
        again(desk)
        before = time.monotonic()
        desk.cycle()
        waits.append(desk.log._not_before - before)
    assert all(b > a - 0.01 for a, b in pairwise(waits))
    assert 0.1 < waits[0] < 0.5
    assert 4 < waits[-1] < 6
    n = len(segment_paths(desk.live / "wal"))
    assert n <= 2  # files that hold nothing durable are not left behind


def test_segments_go_with_their_shards(desk) -> None:
    desk.begin()
    for _ in range(12):
        desk.samples(17).cycle()
        desk.seal()
    assert desk.ring.sealed == 200
    assert len(segment_paths(desk.live / "wal")) == 2  # the one at hand and the next
    desk.finish()
    assert check_small(desk)["stored"] == 204


def test_sealing_falls_back_to_the_log(desk) -> None:
    desk.begin(ring_s=1.0)
    for _ in range(10):
        desk.samples(30).cycle()
    assert desk.ring.oldest == 200
    desk.seal()
    assert desk.ring.sealed == 280
    desk.finish()
    assert check_small(desk)["stored"] == 300


def test_a_shard_that_cannot_be_sealed_waits(desk, monkeypatch) -> None:
    desk.begin()
    archive = desk.recording.parts.archive
    plain = archive.seal

    def fail(*args):
        raise OutputError("no") from OSError(errno.EIO, "bad")

    monkeypatch.setattr(archive, "seal", fail)
    desk.samples(90).cycle()
    desk.recording._seal_due()
    assert desk.recording.trouble == "no"
    assert (desk.ring.committed, desk.ring.sealed, desk.stopped) == (90, 0, [])
    monkeypatch.setattr(archive, "seal", plain)
    desk.recording._seal_due()
    assert (desk.ring.sealed, desk.recording.trouble) == (80, "")


def test_a_full_disk_ends_it_in_order(desk) -> None:
    desk.begin().samples(35).cycle()
    desk.disk.faults["allocate"] = 10**6
    desk.disk.error = errno.ENOSPC
    desk.samples(10).cycle()  # the next segment is there already
    assert (desk.ring.committed, desk.recording.full) == (45, "injected")
    assert desk.stopped == ["disk full"]
    desk.samples(3).cycle()
    assert desk.stopped == ["disk full"]
    desk.disk.faults.clear()
    desk.finish()
    found = check_small(desk)
    assert (found["stored"], found["ledger"]) == (48, {"recorder": 1})


def test_the_room_is_watched(tmp_path, monkeypatch) -> None:
    desk = Desk(tmp_path)
    desk.begin()
    guard = desk.recording.parts.guard
    assert (desk.live / "reserve").stat().st_size == guard.reserve
    per_s = desk.sfreq * desk.n_channels * 4
    for seconds, alarm in ((7200, ""), (600, "10 more minutes"), (1, "0 more minutes")):
        desk.disk.room = guard.need + int(seconds * per_s)
        guard._looked = 0.0
        desk.recording._look()
        assert alarm in guard.room.alarm
        assert bool(alarm) == bool(guard.room.alarm)
        assert guard.room.hours_left == pytest.approx(seconds / 3600, abs=1e-3)
        assert desk.stopped == []
    desk.disk.room = guard.need - 1
    guard._looked = 0.0
    desk.recording._look()
    assert desk.stopped == ["disk full"]
    desk.samples(10).cycle()
    desk.finish()
    found = check_small(desk)
    assert found["ledger"] == {"recorder": 2}  # the warning and the end, each once


def test_without_room_it_does_not_begin(tmp_path) -> None:
    for disk in (FaultyDisk(room=1000), FaultyDisk(faults={"allocate": 9}, error=errno.ENOSPC)):
        with pytest.raises(OutputError, match="no room to record"):
            Desk(tmp_path, disk=disk).begin()
        assert not (tmp_path / "a.zarr").exists()
        assert list((tmp_path / "memory").iterdir()) == []


def test_a_hung_disk_holds_the_source_back_and_shows(desk) -> None:
    desk.begin(ring_s=1.0)
    release, hangs = threading.Event(), threading.Event()
    plain = desk.disk.sync

    def hang(file) -> None:
        hangs.set()
        assert release.wait(20)
        plain(file)

    desk.disk.sync = hang
    desk.recording.start()
    writer = threading.Thread(target=lambda: [desk.samples(10) for _ in range(30)])
    writer.start()
    assert hangs.wait(10)
    writer.join(0.5)
    assert writer.is_alive()  # it waits: nothing that is not committed is written over
    assert desk.ring.received == desk.ring.capacity == 100
    assert desk.ring.committed == 0
    assert time.monotonic() - desk.log.busy_since > 0.3
    release.set()
    writer.join(20)
    desk.recording.finish("done")
    assert check_small(desk)["stored"] == 300


def test_a_disk_that_takes_nothing_any_more_is_given_up(desk, monkeypatch) -> None:
    monkeypatch.setattr("brainforge.acquisition.recorder.recording.GIVE_UP_S", 0.3)
    desk.begin().samples(30).cycle()
    desk.samples(7)
    desk.disk.faults["sync"] = 10**6
    with pytest.raises(OutputError, match="the last 7 samples"):
        desk.finish()
    desk.recording = None
    desk.disk.faults.clear()
    report = repair(desk.out, desk.machine)
    assert (report["stored"], report["from_ring"]) == (37, 0)
    check_small(desk)


def test_an_error_in_a_thread_comes_out(desk, monkeypatch) -> None:
    desk.begin()

    def broken() -> None:
        raise ZeroDivisionError("mine")

    monkeypatch.setattr(desk.log, "cycle", broken)
    desk.recording.start()
    with pytest.raises(ZeroDivisionError, match="mine"):
        fill(desk)
    assert desk.stopped == ["internal error: mine"]
    with pytest.raises(ZeroDivisionError, match="mine"):
        desk.recording.finish("done")
    desk.recording.close()


def test_frames_are_no_longer_than_a_second(desk) -> None:
    desk.shard = 350
    desk.begin().samples(320).cycle()
    (path,) = (p for p in segment_paths(desk.live / "wal") if numbers(p))
    assert numbers(path) == [0, 1, 2, 3]


def test_many_notices_find_room(desk) -> None:
    """More than a segment has room for: another one is begun."""
    desk.begin()
    for _ in range(300):
        desk.gap(1, "x" * 2000).samples(1)
        desk.cycle()
        desk.seal()
    desk.finish()
    found = check_small(desk)
    assert (found["received"], found["stored"], len(found["gaps"])) == (600, 300, 300)


def test_sync_figures_are_those_of_the_last_minute(desk) -> None:
    desk.begin()
    desk.log.sync_ms.extend(np.arange(1.0, 101.0))
    figures = desk.log.sync_figures()
    assert figures["p50"] == pytest.approx(50.5)
    assert figures["max"] == 100.0
