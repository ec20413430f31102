"""GrowingArchive: sealed shard by shard, taken over after a crash, finished once and for all."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from brainforge.archive import import_recording, open_archive, verify_archive
from brainforge.archive.document import MNE_INFO, info_from_document, info_to_document
from brainforge.archive.growing import Account, GrowingArchive, lock
from brainforge.archive.layout import LIVE
from brainforge.archive.live_folder import State, clear_live, holder, state_of
from brainforge.archive.sealed import NAME as JOURNAL
from brainforge.errors import InputError, OutputError, ReadError
from brainforge.info import Channel, Info
from brainforge.readers.events import find_events
from brainforge.recording import Event, Gap, recording_from_array

N = 100
INFO = Info(10.0, (*(Channel(f"C{i}", "mag", cal=1e-15) for i in range(5)), Channel("T", "stim")))
#: 3 whole shards and a short one, with two gaps
GAPS = (Gap(150, 170, "connection lost"), Gap(260, 261, "late"))
START, STOP = 40, 40 + 3 * N + 45 + 21
LEDGER = [{"what": "gap", "start": g.start, "stop": g.stop, "cause": g.cause} for g in GAPS]
ACCOUNT = Account(START, STOP, GAPS, True, (*LEDGER, {"what": "clock", "start": 9, "stop": 9}))


def counts() -> np.ndarray:
    rng = np.random.default_rng(7)
    data = rng.integers(-500, 500, (6, STOP - START), dtype=np.int32)
    data[5] = rng.integers(0, 3, STOP - START) * (np.arange(STOP - START) % 7 < 3)
    # up in the middle of a gap, and up at the seam of two shards: one is no event, the other is
    data[5, 125:140], data[5, 221:230] = 7, 9
    data[5, 220] = 0
    return data


def stored() -> np.ndarray:
    keep = np.ones(STOP - START, dtype=bool)
    for gap in GAPS:
        keep[gap.start - START : gap.stop - START] = False
    return counts()[:, keep]


def new(path: Path) -> GrowingArchive:
    return GrowingArchive.create(
        path, INFO, np.int32, source={"text": "tcp:x"}, recording_id="ab" * 16, shard_samples=N
    )


def sealed(path: Path, n: int = 4) -> GrowingArchive:
    archive = new(path)
    for shard in range(n):
        archive.seal(shard, stored()[:, shard * N : (shard + 1) * N])
    return archive


def test_it_ends_as_an_import_of_the_same_samples(tmp_path: Path) -> None:
    archive = sealed(tmp_path / "a.zarr")
    assert archive.n_sealed == 345
    archive.finish(ACCOUNT)
    assert not archive.live.exists()
    ours = open_archive(archive.path)
    plain = recording_from_array(counts(), INFO, START, gaps=GAPS)
    events = find_events(INFO, lambda a, b, rows: counts()[rows, a - START : b - START],
                         plain.segments)  # fmt: skip
    assert len(events) > 5
    theirs = open_archive(
        import_recording(
            recording_from_array(counts(), INFO, START, gaps=GAPS, events=events),
            tmp_path / "b.zarr",
        )
    )
    for name in ("info", "start", "stop", "gaps", "events", "segments"):
        assert getattr(ours, name) == getattr(theirs, name), name
    for a, b in ours.segments:
        np.testing.assert_array_equal(ours.read(a, b).data, theirs.read(a, b).data)
    report = verify_archive(archive.path)
    assert report["ok"], report["problems"]
    lost = sum(gap["stop"] - gap["start"] for gap in report["gaps"])
    assert report["received"] == report["stored"] + lost == STOP - START
    assert (report["exact"], report["ledger"]) == (True, {"gap": 2, "clock": 1})


def test_plain_xarray_opens_it(tmp_path: Path) -> None:
    import xarray as xr

    archive = sealed(tmp_path / "a.zarr")
    archive.finish(ACCOUNT)
    with xr.open_zarr(archive.path) as data:
        np.testing.assert_array_equal(data.counts.values, stored())
        assert (
            data.attrs["brainforge"]["source"]["ledger"]["entries"][0]["cause"] == "connection lost"
        )


def test_markers_beside_the_samples_are_kept_once(tmp_path: Path) -> None:
    archive = sealed(tmp_path / "a.zarr")
    there = Event(261, 9, "T")
    archive.finish(Account(START, STOP, GAPS, events=(Event(300, 4, "button"), there),
                           ledger=LEDGER))  # fmt: skip
    events = open_archive(archive.path).events
    assert events.count(Event(300, 4, "button")) == 1
    assert events.count(there) <= 1


@pytest.mark.parametrize("thorough", [False, True])
def test_what_was_sealed_is_found_again(tmp_path: Path, thorough: bool) -> None:
    whole = sealed(tmp_path / "whole.zarr")
    whole.finish(ACCOUNT)
    for n in (0, 1, 3):
        path = tmp_path / f"{n}.zarr"
        first = sealed(path, n)
        again = GrowingArchive.resume(path, thorough=thorough)
        assert again.n_sealed == n * N
        assert (again.info, again.layout, again.recording_id) == (INFO, first.layout, "ab" * 16)
        for shard in range(n, 4):
            again.seal(shard, stored()[:, shard * N : (shard + 1) * N])
        again.finish(ACCOUNT)
        assert verify_archive(path)["checksums"] == verify_archive(whole.path)["checksums"]
        assert open_archive(path).events == open_archive(whole.path).events


def test_a_short_last_shard_is_sealed_again(tmp_path: Path) -> None:
    archive = sealed(tmp_path / "a.zarr")
    again = GrowingArchive.resume(archive.path)
    assert again.n_sealed == 3 * N
    again.seal(3, stored()[:, 300:340])
    again.seal(3, stored()[:, 300:])
    again.finish(ACCOUNT)
    assert verify_archive(archive.path)["ok"]


def half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)


@pytest.mark.parametrize("damage", [half, flip])
def test_a_damaged_last_shard_is_set_aside_and_sealed_anew(tmp_path: Path, damage) -> None:
    archive = sealed(tmp_path / "a.zarr", 3)
    damage(archive.shard_path(2))
    again = GrowingArchive.resume(archive.path)
    assert again.n_sealed == 2 * N
    assert len(list((again.live / "aside").iterdir())) == 1
    for shard in (2, 3):
        again.seal(shard, stored()[:, shard * N : (shard + 1) * N])
    again.finish(ACCOUNT)
    assert verify_archive(archive.path)["ok"]


def test_a_damaged_shard_between_whole_ones_costs_only_itself(tmp_path: Path) -> None:
    archive = sealed(tmp_path / "a.zarr", 3)
    flip(archive.shard_path(1))
    again = GrowingArchive.resume(archive.path, thorough=True)
    assert (again.n_sealed, again.damaged) == (3 * N, (1,))
    again.seal(3, stored()[:, 300:])
    again.finish(ACCOUNT)
    report = verify_archive(archive.path)
    assert not report["ok"]
    assert report["damaged"] == [[140, 150], [170, 260]]


@pytest.mark.parametrize("change", [Path.unlink, half, flip, lambda p: p.write_bytes(b"\0" * 300)])
def test_without_its_journal_a_shard_speaks_for_itself(tmp_path: Path, change) -> None:
    archive = sealed(tmp_path / "a.zarr", 3)
    whole = sealed(tmp_path / "whole.zarr")
    whole.finish(ACCOUNT)
    change(archive.live / JOURNAL)
    again = GrowingArchive.resume(archive.path)
    # of the last one nobody else knows how many samples it holds
    assert again.n_sealed in (2 * N, 3 * N)
    for shard in range(again.n_sealed // N, 4):
        again.seal(shard, stored()[:, shard * N : (shard + 1) * N])
    again.finish(ACCOUNT)
    assert verify_archive(archive.path)["ok"]
    assert open_archive(archive.path).events == open_archive(whole.path).events


def test_until_it_ends_it_is_no_archive(tmp_path: Path) -> None:
    archive = sealed(tmp_path / "a.zarr")
    with pytest.raises(ReadError, match=r"interrupted.*brainforge repair .*a\.zarr"):
        open_archive(archive.path)
    with lock(archive.path):
        assert state_of(archive.path) is State.RECORDING
        with pytest.raises(ReadError, match=rf"process {os.getpid()} has been recording since"):
            verify_archive(archive.path)
    assert state_of(archive.path) is State.INTERRUPTED
    archive.finish(ACCOUNT)
    assert state_of(archive.path) is State.FINISHED


def test_one_recorder_at_a_time(tmp_path: Path) -> None:
    archive = new(tmp_path / "a.zarr")
    code = (
        "import sys; from pathlib import Path\n"
        "from brainforge.archive.growing import lock\n"
        "with lock(Path(sys.argv[1])): print('have it', flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, archive.path],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as other:  # fmt: skip
        assert other.stdout is not None
        assert other.stdout.readline() == "have it\n"
        with pytest.raises(OutputError, match=f"recorded by process {other.pid} since"), \
                lock(archive.path):  # fmt: skip
            pass
        owner = holder(archive.path)
        assert owner is not None
        assert owner["pid"] == other.pid
        other.kill()
    with lock(archive.path):
        assert holder(archive.path) is not None


def test_a_name_that_is_taken_is_refused(tmp_path: Path) -> None:
    new(tmp_path / "a.zarr")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(OutputError, match="exists already"):
        new(tmp_path / "a.zarr")
    with pytest.raises(OutputError, match="cannot be written"):
        new(tmp_path / "a.zarr/live/header.json/b.zarr")
    assert sorted(tmp_path.rglob("*")) == before


def test_shards_in_the_wrong_order_or_form_are_refused(tmp_path: Path) -> None:
    archive = new(tmp_path / "a.zarr")
    data = stored()[:, :N]
    for shard, piece in ((1, data), (0, data[:5]), (0, data[:, :0]), (0, data.astype(np.int16))):
        with pytest.raises(InputError):
            archive.seal(shard, piece)
    archive.seal(0, data)
    with pytest.raises(InputError, match="as many samples"):
        archive.finish(ACCOUNT)


@pytest.mark.parametrize("left", ["manifest.json", "header", "lock"])
def test_finishing_half_done_is_finished_by_the_next(tmp_path: Path, left: str) -> None:
    whole = sealed(tmp_path / "whole.zarr")
    path = tmp_path / "a.zarr"
    archive = sealed(path)
    keep = tmp_path / "live"
    shutil.copytree(archive.live, keep)
    archive.finish(ACCOUNT)
    shutil.copytree(keep, path / LIVE)
    if left == "manifest.json":
        (path / "manifest.json").unlink()
        (path / "zarr.json").write_text("{")
        (path / "time/.hidden").write_text("x")
        again = GrowingArchive.resume(path)
        again.seal(3, stored()[:, 300:])
        again.finish(ACCOUNT)
    else:
        if left == "lock":
            (path / LIVE / "header.json").unlink()
        # it can be read already
        assert state_of(path) is State.FINISHED
        assert verify_archive(path)["ok"]
        clear_live(path)
    assert not (path / LIVE).exists()
    whole.finish(ACCOUNT)
    assert verify_archive(path)["ok"]
    assert verify_archive(path)["checksums"] == verify_archive(whole.path)["checksums"]


def test_a_damaged_header_is_one_line(tmp_path: Path) -> None:
    archive = new(tmp_path / "a.zarr")
    name = archive.live / "header.json"
    good = json.loads(name.read_text())
    for bad in (b"", b"{", b"[]", json.dumps({**good, "version": 9}).encode(),
                json.dumps({**good, "layout": {}}).encode()):  # fmt: skip
        name.write_bytes(bad)
        with pytest.raises(ReadError, match="header"):
            GrowingArchive.resume(archive.path)
    shutil.rmtree(archive.live)
    with pytest.raises(ReadError, match="recorded or was interrupted"):
        GrowingArchive.resume(archive.path)


def test_info_survives_the_header(tmp_path: Path) -> None:
    info = Info(10.0, INFO.channels, line_freq=50.0, extra={MNE_INFO: b"\0fif", "room": "3"})
    archive = GrowingArchive.create(tmp_path / "a.zarr", info, "float32", source={})
    again = GrowingArchive.resume(archive.path)
    assert again.info == info
    assert again.info.extra == info.extra
    assert again.dtype == np.float32
    assert info_from_document(json.loads(json.dumps(info_to_document(info)))) == info


def test_a_long_ledger_keeps_its_sums_and_its_ends() -> None:
    from brainforge.archive.ledger import MAX_ENTRIES, ledger_document

    rows = [{"what": "gap" if i % 2 else "late", "start": i, "stop": i + 2} for i in range(30_000)]
    document = ledger_document(rows, False)
    assert document["counts"] == {"gap": 15_000, "late": 15_000}
    assert document["samples"] == {"gap": 30_000, "late": 30_000}
    assert len(document["entries"]) == MAX_ENTRIES
    assert document["left_out"] == 30_000 - MAX_ENTRIES
    assert (document["entries"][0], document["entries"][-1]) == (rows[0], rows[-1])


@pytest.mark.parametrize("spoilt", ["no", [1], {"entries": 3}, {"entries": [{"what": "gap"}]}])
def test_a_ledger_that_is_none_is_a_problem_and_no_crash(spoilt: object) -> None:
    from brainforge.archive.ledger import ledger_of

    with pytest.raises(ValueError, match="ledger"):
        ledger_of({"ledger": spoilt})


def test_a_ledger_that_contradicts_the_gaps_is_found(tmp_path: Path) -> None:
    archive = sealed(tmp_path / "a.zarr")
    archive.finish(Account(START, STOP, GAPS, True, LEDGER[:1]))
    report = verify_archive(archive.path)
    assert not report["ok"]
    assert "[(150, 170)]" in str(report["problems"])
    assert "[(150, 170), (260, 261)]" in str(report["problems"])
