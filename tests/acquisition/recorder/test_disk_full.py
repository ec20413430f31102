"""Disks that fill up: a small one of its own, and a limit on the size of files."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys

import pytest

from brainforge.acquisition.recorder.repair import repair
from tests.acquisition.recorder.lab import SCRIPTED, Lab, check


@pytest.fixture
def small_disk(tmp_path):
    """Return a folder on a disk of 16 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=16m", "none", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"a disk can only be mounted by root: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_small_disk_fills_up_and_the_recording_ends_in_order(small_disk, tmp_path) -> None:
    lab = Lab(small_disk, shard=2000, feed=tmp_path / "recorder.feed")
    lab.script = {"n_channels": 64, "total": 10**9, "speed": 20.0}
    code, words = lab.end(lab.start(), 60)
    assert code == 3
    assert words.count("\n") == 1
    assert "the disk is full" in words
    assert "all of it is kept" in words
    found = check(lab.out, 64)
    assert found["stored"] > 4000
    assert found["gaps"] == []
    assert found["ledger"]["recorder"] >= 1
    lab.close()


def test_a_disk_that_another_one_fills(small_disk, tmp_path) -> None:
    """Not a byte is left all at once: what was acknowledged is kept."""
    lab = Lab(small_disk, shard=2000, feed=tmp_path / "recorder.feed")
    lab.script = {"n_channels": 64, "total": 10**9, "speed": 4.0}
    process = lab.start()
    acknowledged = lab.wait_for("committed", 500)["committed"]
    with open(small_disk / "other", "wb") as file:
        room = os.statvfs(small_disk)
        os.posix_fallocate(file.fileno(), 0, room.f_bavail * room.f_frsize)
    code, words = lab.end(process, 60)
    assert (code, words.count("\n")) == (3, 1)
    if (lab.out / "live").exists():
        (small_disk / "other").unlink()
        repair(lab.out)
    assert check(lab.out, 64)["stored"] >= acknowledged
    lab.close()


def test_no_room_from_the_start(small_disk, tmp_path) -> None:
    # shards of ten seconds: more than the disk holds
    lab = Lab(small_disk, shard=10_000, feed=tmp_path / "recorder.feed")
    lab.script = {"n_channels": 306, "total": 10**9, "speed": 1.0}
    code, words = lab.end(lab.start(), 60)
    assert (code, words.count("\n")) == (2, 1)
    assert "no room" in words
    assert sorted(os.listdir(small_disk)) == ["spec.json"]


def test_a_limit_on_the_size_of_files(tmp_path) -> None:
    """Segments and ring fit, the reserve does not: refused before anything is recorded."""
    lab = Lab(tmp_path)
    lab.script = {"total": 10**9, "speed": 2.0}
    path = lab.write_spec()
    done = subprocess.run(
        [sys.executable, str(SCRIPTED), str(path), "500"], capture_output=True, text=True,
        check=False, timeout=60,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20)),
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert not lab.out.exists()
    assert json.loads(path.read_text())["out"] == str(lab.out)
    lab.close()
