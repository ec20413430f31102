"""Recorder processes from start to end: what they leave, whatever happens to them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from brainforge.acquisition.recorder.repair import inspect, repair
from brainforge.archive.live_folder import State, state_of
from brainforge.errors import InputError, OutputError, ReadError
from tests.acquisition.recorder.lab import check


def test_a_stream_becomes_an_archive(lab) -> None:
    lab.script = {
        "total": 2230, "speed": 4.0, "gaps": [[300, 421], [2000, 2050]], "events": [[17, 3]],
    }  # fmt: skip
    assert lab.end(lab.start()) == (0, "")
    found = check(lab.out)
    assert (found["first_sample"], found["received"], found["stored"]) == (0, 2230, 2059)
    assert found["gaps"] == [
        {"start": 300, "stop": 421, "cause": "scripted"},
        {"start": 2000, "stop": 2050, "cause": "scripted"},
    ]
    assert found["ledger"]["gap"] == 2
    said = lab.said()
    assert (said["state"], said["received"], said["stored"], said["committed"]) == (
        "ended", 2230, 2059, 2059,
    )  # fmt: skip
    assert (said["gaps"], said["lost_samples"], said["sealed"]) == (2, 171, 2000)
    assert said["exact"]
    assert sorted(p.name for p in lab.folder.iterdir()) == [
        "a.zarr", "recorder.feed", "spec.json",
    ]  # fmt: skip


def test_a_duration_is_kept_to_the_sample(lab) -> None:
    lab.script = {"total": 10**9, "speed": 8.0, "gaps": [[300, 421]]}
    code, words = lab.end(lab.start(duration_s=1.234))
    assert (code, words) == (0, "")
    assert check(lab.out)["received"] == 1234


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order(lab, number) -> None:
    lab.script = {"total": 10**9, "speed": 2.0}
    process = lab.start()
    lab.wait_for("committed", 700)
    process.send_signal(number)
    assert lab.end(process) == (0, "")
    assert check(lab.out)["stored"] >= 700


def test_nothing_heavy_is_imported_while_it_records(lab) -> None:
    lab.script = {"total": 10**9, "speed": 2.0}
    process = lab.start()
    lab.wait_for("sealed", 500)
    with open(f"/proc/{process.pid}/maps") as file:
        loaded = file.read()
    for name in ("scipy", "numba", "llvmlite", "pandas", "h5py"):
        assert f"/{name}/" not in loaded, name
    code = (
        "import sys, brainforge.acquisition.recorder.process as p\n"
        "print(*[m for m in ('scipy', 'numba', 'zarr', 'mne', 'h5py', 'asyncio', 'pandas',"
        " 'xarray', 'plotly') if m in sys.modules])"
    )
    asked = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert asked.stdout.strip() == ""


@pytest.mark.parametrize("seed", range(3))
def test_killed_and_resumed_twice(lab, seed) -> None:
    print(f"seed {seed}")
    rng = np.random.default_rng(seed)
    kept = int(rng.integers(0, 400))
    began = time.monotonic()
    lab.script = {"total": 6000, "speed": 2.0, "kept": kept, "began": began}
    acknowledged = []
    lab.start()
    for _ in range(2):
        lab.wait_for("committed", (acknowledged or [0])[-1] + int(rng.integers(200, 900)))
        acknowledged.append(lab.kill())
        assert state_of(lab.out) is State.INTERRUPTED
        before = inspect(lab.out)
        assert before["stored"] + before["in_ring"] >= acknowledged[-1]
        assert before["state"] == "interrupted"
        assert before["ok"]
        lab.start(resume=True)
        said = lab.wait_for("generation", len(acknowledged) + 1)
        assert said["stored"] >= acknowledged[-1]
    assert lab.end(lab.processes[-1]) == (0, "")
    found = check(lab.out)
    assert found["received"] == 6000
    assert found["ledger"]["recorder"] == 2
    assert all(gap["cause"] == "the recorder was away" for gap in found["gaps"])
    assert len(found["gaps"]) <= 2


def test_killed_and_repaired(lab) -> None:
    lab.script = {"total": 10**9, "speed": 2.0, "gaps": [[300, 421]], "events": [[17, 3]]}
    lab.start()
    lab.wait_for("committed", 1200)
    acknowledged = lab.kill()
    report = repair(lab.out)
    found = check(lab.out)
    assert found["stored"] == report["stored"] >= acknowledged
    assert found["gaps"] == [{"start": 300, "stop": 421, "cause": "scripted"}]
    with pytest.raises(ReadError, match="no live/header"):
        repair(lab.out)


def test_a_repair_that_is_killed_is_repeated(lab) -> None:
    lab.script = {"total": 10**9, "speed": 2.0}
    lab.start()
    lab.wait_for("committed", 700)
    acknowledged = lab.kill()
    code = (
        "import os, sys\n"
        "import brainforge.archive.growing as growing\n"
        "def die(*a, **k): os._exit(9)\n"
        "setattr(growing, sys.argv[2], die)\n"
        "from brainforge.acquisition.recorder.repair import repair\n"
        "repair(sys.argv[1])\n"
    )
    for name in ("write_durable", "describe", "clear_live"):
        died = subprocess.run([sys.executable, "-c", code, str(lab.out), name], check=False)
        assert died.returncode == 9, name
    report = repair(lab.out)
    assert report["path"] == str(lab.out)
    assert check(lab.out)["stored"] >= acknowledged


def test_a_second_recorder_is_refused(lab) -> None:
    lab.script = {"total": 10**9, "speed": 2.0}
    process = lab.start()
    lab.wait_for("committed", 100)
    for fields in ({}, {"resume": True}):
        code, words = lab.end(lab.start(feed=str(lab.folder / "other.feed"), **fields))
        assert code == 2
        assert words.startswith("error: ")
        assert words.count("\n") == 1
        assert "exists already" in words or f"process {process.pid}" in words
    with pytest.raises(OutputError, match=f"process {process.pid}"):
        repair(lab.out)
    found = inspect(lab.out)
    assert (found["state"], found["holder"]["pid"]) == ("recording", process.pid)
    process.terminate()
    assert lab.end(process)[0] == 0
    check(lab.out)


def test_a_layout_that_changes_ends_it_and_keeps_the_rest(lab) -> None:
    lab.script = {"total": 5000, "refuse_at": 1000}
    code, words = lab.end(lab.start())
    assert code == 3
    assert "expected 4 channels" in words
    found = check(lab.out)
    assert found["stored"] == 1000
    assert found["ledger"]["refused"] == 1


@pytest.mark.parametrize(
    "fields, words",
    [
        ({"out": "a.txt"}, "NAME.zarr"),
        ({"duration_s": -1}, "positive"),
        ({"unknown": 1}, "unknown"),
        ({"ring_s": 0}, "ring_s"),
        ({"out": "/nowhere/a.zarr"}, "folder"),
        ({"resume": True}, "header"),
    ],
)
def test_a_wrong_spec_is_refused_in_one_line(lab, fields, words) -> None:
    code, said = lab.end(lab.start(**fields))
    assert code == 2
    assert words in said
    assert said.count("\n") == 1
    assert not lab.out.exists()


def test_a_source_that_gives_nothing_leaves_nothing(lab) -> None:
    lab.script = {"total": 0}
    code, said = lab.end(lab.start())
    assert code == 2
    assert "expected samples" in said
    assert not lab.out.exists()


def test_another_recording_is_not_taken_over(lab) -> None:
    lab.script = {"total": 10**9, "speed": 2.0}
    lab.start()
    lab.wait_for("committed", 100)
    lab.kill()
    code, said = lab.end(lab.start(resume=True, recording_id="f" * 32))
    assert (code, said.count("\n")) == (2, 1)
    assert json.loads((lab.live / "header.json").read_text())["recording_id"] in said
    repair(lab.out)
    check(lab.out)


def test_an_archive_without_a_sample_is_not_repaired(lab) -> None:
    lab.script = {"total": 10**9, "speed": 2.0}
    lab.start()
    lab.wait_for("committed", 100)
    lab.kill()
    for path in (lab.live / "wal").iterdir():
        path.unlink()
    lab.close()
    with pytest.raises(InputError, match="samples"):
        repair(lab.out)
    assert not lab.out.exists()
