"""Recorder processes for tests, and what every archive of the scripted source has to say."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from brainforge.archive import open_archive, verify_archive
from brainforge.errors import InputError
from brainforge.feed import FeedReader
from tests.acquisition.recorder import scripted

SCRIPTED = Path(__file__).with_name("scripted.py")


@dataclass
class Lab:
    """One recording in ``folder`` and the processes that record it."""

    folder: Path
    shard: int = 500
    script: dict = field(default_factory=dict)
    spec: dict = field(default_factory=dict)
    processes: list = field(default_factory=list)
    feed: Path | None = None

    def __post_init__(self):
        self.feed = self.feed or self.folder / "recorder.feed"

    @property
    def out(self):
        return self.folder / "a.zarr"

    @property
    def live(self):
        return self.out / "live"

    def write_spec(self, **fields):
        path = self.folder / "spec.json"
        document = {
            "source": "scripted", "out": str(self.out), "options": self.script,
            "feed": str(self.feed), "recording_id": "0123456789abcdef" * 2,
        }  # fmt: skip
        path.write_text(json.dumps({**document, **self.spec, **fields}))
        return path

    def start(self, **fields):
        """Start a recorder process."""
        command = [sys.executable, str(SCRIPTED), str(self.write_spec(**fields)), str(self.shard)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.processes.append(process)
        return process

    def said(self):
        """Return what the recorder says of itself, empty before it has."""
        try:
            reader = FeedReader(self.feed)
        except InputError:
            return {}
        try:
            snapshot = reader.latest("recorder")
            return snapshot.meta if snapshot is not None else {}
        finally:
            reader.close()

    def wait_for(self, key, least, seconds=20.0):
        """Wait until a figure that the recorder gives is at least so large, and return all."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            said = self.said()
            if said.get(key, -1) >= least:
                return said
            time.sleep(0.01)
        raise AssertionError(f"{key} never came to {least}: {self.said()}")

    def kill(self):
        """SIGKILL the newest process and return the samples it had acknowledged at least."""
        said = self.said()
        self.processes[-1].send_signal(signal.SIGKILL)
        self.end(self.processes[-1])
        return said["committed"]

    def end(self, process, seconds=30.0):
        """Return a process's exit code and what it said on standard error."""
        _, words = process.communicate(timeout=seconds)
        return process.returncode, words.decode()

    def close(self):
        """End what still runs; remove rings."""
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.communicate()
        for name in Path("/dev/shm").glob("brainforge-0123456789abcdef*"):
            name.unlink()


def check(path, n_channels=4):
    """Check a finished archive of the scripted source bit by bit; return its verification."""
    found = verify_archive(path)
    assert found["ok"], found["problems"]
    lost = sum(gap["stop"] - gap["start"] for gap in found["gaps"])
    assert found["received"] == found["stored"] + lost
    recording = open_archive(path)
    for start, stop in recording.segments:
        data = recording.read(start, stop).data.T
        np.testing.assert_array_equal(data, scripted.value(start, stop, n_channels))
    expected = {
        sample
        for start, stop in recording.segments
        for sample in range(start + 1, stop)
        if sample % 100 == 90
    }
    assert {e.sample for e in recording.events if e.channel == "STI"} == expected
    assert not (Path(path) / "live").exists()
    return found


def cpu_seconds(pid):
    """Return user and system time of a living process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
