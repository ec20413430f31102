"""The log read back: any prefix of it, with anything behind, tells the truth and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from brainforge.acquisition.recorder.frame import HEAD, recording_number, scan
from brainforge.acquisition.recorder.repair import inspect, repair
from brainforge.acquisition.recorder.replay import LOG_DAMAGED, SHARD_DAMAGED
from brainforge.acquisition.recorder.segments import segment_paths
from brainforge.archive import open_archive, verify_archive
from brainforge.errors import ReadError
from tests.acquisition.recorder import scripted
from tests.acquisition.recorder.desk import ID, Desk
from tests.acquisition.recorder.lab import check


@pytest.fixture
def desk(tmp_path):
    desk = Desk(tmp_path)
    yield desk
    desk.close()


def places(path):
    return list(scan(path.read_bytes(), recording_number(ID)))


def consistent(found) -> None:
    """Assert that an account holds."""
    lost = sum(gap["stop"] - gap["start"] for gap in found["gaps"])
    assert found["received"] == found["stored"] + lost


def recorded(desk, cycles):
    """Record in cycles of (samples, gap) and return committed and absolute ends after each."""
    desk.begin()
    ends = []
    for n, gap in cycles:
        if gap:
            desk.gap(gap)
        if n:
            desk.samples(n)
        desk.cycle()
        ends.append((desk.ring.committed, desk.at))
    return ends


@pytest.mark.parametrize("rubbish", ["nothing", "zeros", "noise", "old"])
def test_every_prefix_of_a_log_holds_what_was_acknowledged(tmp_path, desk, rubbish) -> None:
    """What was not synced is cut at every byte; behind it comes whatever the disk had there."""
    rng = np.random.default_rng(5)
    recorded(desk, [(7, 0), (5, 0), (0, 4), (9, 0), (3, 2)])
    desk.die()
    desk.lose_memory()
    (path,) = (p for p in segment_paths(desk.live / "wal") if places(p))
    data = path.read_bytes()
    frames = places(path)
    synced = [frames[0].end, frames[1].end, frames[2].end, frames[3].end, frames[5].end]
    acknowledged = [7, 12, 12, 21, 24]
    for cut in range(0, frames[-1].end + 1, 1 if rubbish == "nothing" else 5):
        behind = {
            "nothing": b"", "zeros": bytes(400), "noise": rng.bytes(400),
            # of the block's earlier life: frames of this very log, but not in their place
            "old": data[: min(cut // 2, 300)] + bytes(50),
        }[rubbish]  # fmt: skip
        left = data[:cut] + behind
        path.write_bytes(left)
        found = inspect(desk.out)
        least = max([a for end, a in zip(synced, acknowledged) if end <= cut], default=0)
        # zeros behind may happen to be what was cut off
        whole = sum(left[: f.end] == data[: f.end] for f in frames)
        assert found["stored"] >= least
        assert found["stored"] in (0, 7, 12, 21, 24)
        assert (found["stored"] == 0) == (whole == 0)
        consistent(found)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    cycles=st.lists(
        st.tuples(st.integers(0, 30), st.sampled_from([0, 0, 0, 1, 13])), min_size=1, max_size=9
    ),
    seal=st.booleans(),
    memory=st.booleans(),
    cut=st.floats(0, 1),
)
def test_repair_gives_back_what_was_acknowledged(
    tmp_path_factory, cycles, seal, memory, cut
) -> None:
    desk = Desk(tmp_path_factory.mktemp("desk"), shard=20)
    ends = recorded(desk, [*cycles, (2, 0)])
    if seal:
        desk.seal()
    desk.samples(3)  # come, but not committed
    acknowledged = ends[-1][0]
    desk.die()
    if not memory:
        desk.lose_memory()
        # and of what was written since the last sync, nothing, part or all
        path = next((p for p in reversed(segment_paths(desk.live / "wal")) if places(p)), None)
        if path is not None:
            end = places(path)[-1].end
            with open(path, "r+b") as file:
                file.seek(end)
                file.write(np.random.default_rng(1).bytes(int(100 * cut)))
    report = repair(desk.out)
    found = check_small(desk)
    assert found["stored"] == report["stored"] == acknowledged + (3 if memory else 0)
    assert found["ledger"].get("gap", 0) == len(found["gaps"])


def check_small(desk):
    """As `lab.check`, for a desk's archive."""
    found = verify_archive(desk.out)
    assert found["ok"], found["problems"]
    consistent(found)
    recording = open_archive(desk.out)
    for start, stop in recording.segments:
        data = recording.read(start, stop).data.T
        assert np.array_equal(data, scripted.value(start, stop, desk.n_channels))
    return found


def damage(path, place) -> None:
    """Turn one bit of a frame's payload."""
    with open(path, "r+b") as file:
        file.seek(place.offset + place.length // 2)
        byte = file.read(1)[0]
        file.seek(-1, 1)
        file.write(bytes([byte ^ 4]))


@pytest.mark.parametrize("what", ["payload", "head"])
@pytest.mark.parametrize("memory", [True, False])
def test_a_damaged_frame_costs_its_own_samples_only(desk, what, memory) -> None:
    recorded(desk, [(7, 0), (5, 0), (9, 0), (6, 0)])
    desk.die()
    (path,) = (p for p in segment_paths(desk.live / "wal") if places(p))
    second = places(path)[1]
    if what == "payload":
        damage(path, second)
    else:
        with open(path, "r+b") as file:
            file.seek(second.offset - HEAD + 9)
            file.write(b"\xff\xff\xff")
    if not memory:
        desk.lose_memory()
    found = inspect(desk.out)
    consistent(found)
    assert found["gaps"] == [{"start": 7, "stop": 12, "cause": LOG_DAMAGED}]
    repair(desk.out)
    found = check_small(desk)
    if memory:  # the ring still has them
        assert (found["stored"], found["gaps"]) == (27, [])
    else:
        assert found["stored"] == 22
        assert found["gaps"] == [{"start": 7, "stop": 12, "cause": LOG_DAMAGED}]


def test_behind_a_break_the_stream_goes_on(desk) -> None:
    recorded(desk, [(7, 0), (5, 0), (9, 3), (6, 0)])
    desk.die()
    desk.lose_memory()
    (path,) = (p for p in segment_paths(desk.live / "wal") if places(p))
    damage(path, places(path)[1])
    taken = desk.take_over()
    assert (taken.from_ring, taken.from_log) == (0, 15)
    assert taken.position.sample == 30
    assert taken.position.counter == 37
    desk.samples(50).cycle()
    desk.seal()
    desk.die()
    desk.lose_memory()
    assert desk.take_over().position.sample == 80
    desk.finish()
    found = check_small(desk)
    assert [(g["start"], g["stop"], g["cause"]) for g in found["gaps"]] == [
        (7, 12, LOG_DAMAGED), (12, 15, "scripted"),
    ]  # fmt: skip
    assert found["ledger"] == {"gap": 2, "recorder": 2}


def test_a_damaged_last_shard_is_a_gap_or_comes_from_the_ring(tmp_path) -> None:
    for memory in (True, False):
        (tmp_path / str(memory)).mkdir()
        desk = Desk(tmp_path / str(memory), shard=20)
        recorded(desk, [(30, 0), (25, 0), (4, 0)])
        desk.seal()
        desk.die()
        if not memory:
            desk.lose_memory()
        shard = desk.out / "counts/c/0/1"
        data = bytearray(shard.read_bytes())
        data[10] ^= 1
        shard.write_bytes(bytes(data))
        repair(desk.out)
        found = check_small(desk)
        gaps = [] if memory else [{"start": 20, "stop": 40, "cause": SHARD_DAMAGED}]
        assert found["gaps"] == gaps
        assert found["received"] == 59


def test_a_shard_sealed_by_a_process_that_died_at_once(desk, monkeypatch) -> None:
    """Sealed, but its segments not dropped: nothing is there twice."""
    recorded(desk, [(30, 0), (25, 0)])
    sealer = desk.recording.parts.sealer
    monkeypatch.setattr(sealer._carry, "append", lambda *a: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        sealer.step()
    desk.die()
    taken = desk.take_over()
    assert taken.position.sample == 55
    desk.samples(45).cycle()
    desk.finish()
    assert check_small(desk)["stored"] == 100


def test_a_torn_entry_of_the_carried_ledger_is_written_again(tmp_path) -> None:
    """Torn anywhere: its segments are still there then, and the entry is made anew."""
    for i, cut in enumerate((0, 1, 60, -1)):
        (tmp_path / str(i)).mkdir()
        desk = Desk(tmp_path / str(i))
        recorded(desk, [(30, 3), (25, 0), (30, 0)])
        keep = {p: p.read_bytes() for p in segment_paths(desk.live / "wal")}
        desk.recording.parts.sealer.step()
        desk.die()
        path = desk.live / "ledger.log"
        path.write_bytes(path.read_bytes()[:cut])
        for segment, data in keep.items():
            segment.write_bytes(data)
        repair(desk.out)
        found = check_small(desk)
        assert (found["stored"], found["ledger"]) == (85, {"gap": 1, "recorder": 1})


def test_an_entry_lost_in_the_middle_is_only_filled_where_there_is_no_doubt(tmp_path) -> None:
    for gap in (0, 5):
        (tmp_path / str(gap)).mkdir()
        desk = Desk(tmp_path / str(gap), shard=20)
        recorded(desk, [(25, 0), (20, gap), (20, 0)])
        desk.seal()
        desk.die()
        path = desk.live / "ledger.log"
        entries = [p for p in scan(path.read_bytes(), recording_number(ID)) if p.kind == 4]
        damage(path, entries[1])
        if gap:
            with pytest.raises(ReadError, match="damaged entry"):
                repair(desk.out)
        else:
            repair(desk.out)
            assert check_small(desk)["stored"] == 65


def test_gaps_that_nobody_explained_are_gaps(desk) -> None:
    desk.begin().samples(10).cycle()
    desk.at += 6
    desk.samples(10)
    desk.die()
    repair(desk.out)
    found = check_small(desk)
    assert found["gaps"][0]["cause"].startswith("not received")
    assert (found["received"], found["stored"]) == (26, 20)


def test_samples_from_a_ring_of_another_time_are_not_taken(desk) -> None:
    """A ring that does not fit to the log is not believed."""
    recorded(desk, [(30, 0)])
    desk.ring._index[:30] += 5
    desk.samples(4)
    desk.die()
    taken = desk.take_over()
    assert (taken.from_ring, taken.position.sample) == (0, 30)
    desk.finish()
    assert check_small(desk)["stored"] == 30


def test_a_ring_of_an_earlier_boot_is_not_taken(desk, monkeypatch) -> None:
    recorded(desk, [(30, 0)])
    desk.samples(4)
    desk.die()
    monkeypatch.setattr("brainforge.acquisition.ring.boot_number", lambda: 1)
    taken = desk.take_over()
    assert (taken.from_ring, taken.position.sample) == (0, 30)
    assert np.isnan(taken.position.stamp)
    desk.finish()
    assert check_small(desk)["stored"] == 30


def test_a_gap_at_the_end_is_where_the_next_one_goes_on(desk) -> None:
    """Told, but no sample came behind it: the source is asked for what follows."""
    recorded(desk, [(10, 0)])
    desk.gap(5).cycle()
    desk.die()
    taken = desk.take_over()
    assert (taken.position.sample, taken.position.counter) == (15, 22)
    desk.gap(3, "recorder away").samples(7).cycle()
    desk.finish()
    found = check(desk.out, desk.n_channels)
    assert [(g["start"], g["stop"]) for g in found["gaps"]] == [(10, 15), (15, 18)]
