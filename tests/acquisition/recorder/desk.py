"""A recording worked by hand, step by step, on a disk that fails when it is told to."""

from __future__ import annotations

import contextlib
import errno
from dataclasses import dataclass, field

import numpy as np

from brainforge.acquisition.notice import Notice, What
from brainforge.acquisition.recorder.begin import Machine, begin
from brainforge.acquisition.recorder.disk import Disk
from brainforge.acquisition.recorder.resume import take_over
from tests.acquisition.recorder import scripted

ID = "00112233445566778899aabbccddeeff"


@dataclass
class FaultyDisk(Disk):
    """Fails the calls that are named in ``faults``: name -> how often it still fails, and why.

    ``room`` is what is said to be free; None for the truth.
    """

    faults: dict = field(default_factory=dict)
    error: int = errno.EIO
    room: int | None = None
    calls: list = field(default_factory=list)

    def _fail(self, name):
        self.calls.append(name)
        if self.faults.get(name, 0) > 0:
            self.faults[name] -= 1
            raise OSError(self.error, "injected")

    def write(self, file, buffers, offset):
        self._fail("write")
        return super().write(file, buffers, offset)

    def sync(self, file):
        self._fail("sync")
        super().sync(file)

    def allocate(self, file, size):
        self._fail("allocate")
        super().allocate(file, size)

    def create(self, path):
        self._fail("create")
        return super().create(path)

    def remove(self, path):
        self._fail("remove")
        super().remove(path)

    def free(self, path):
        return super().free(path) if self.room is None else self.room


class Desk:
    """Writes scripted samples into a recording whose threads are not started."""

    def __init__(self, folder, *, shard=40, n_channels=3, disk=None, sfreq=100.0) -> None:
        self.out, self.memory = folder / "a.zarr", folder / "memory"
        self.memory.mkdir(exist_ok=True)
        self.disk = disk or FaultyDisk()
        self.machine = Machine(self.disk, self.memory, turns=False)
        self.n_channels, self.shard, self.sfreq = n_channels, shard, sfreq
        self.stopped: list[str] = []
        self.recording = None
        self.at = 0

    @property
    def live(self):
        return self.out / "live"

    @property
    def log(self):
        return self.recording.log

    @property
    def ring(self):
        return self.recording.ring

    def begin(self, ring_s=5.0):
        self.recording = begin(
            self.out, scripted.make_info(self.n_channels, self.sfreq), np.dtype(np.int32),
            source={"source": "desk", "exact": True}, recording_id=ID, ring_s=ring_s,
            stop=self.stopped.append, machine=self.machine, shard_samples=self.shard,
        )  # fmt: skip
        return self

    def take_over(self, ring_s=5.0):
        taken = take_over(self.out, ring_s=ring_s, stop=self.stopped.append, machine=self.machine)
        self.recording = taken.recording
        self.at = taken.position.sample if taken.position else 0
        return taken

    def samples(self, n):
        """Take n samples."""
        data = scripted.value(self.at, self.at + n, self.n_channels)
        self.recording.write(data, self.at, self.at + 7, 1.0, 2.0)
        self.at += n
        return self

    def gap(self, n, cause="scripted"):
        """Lose n samples."""
        self.recording.note(Notice(What.GAP, self.at, self.at + n, cause))
        self.at += n
        return self

    def cycle(self):
        self.log.cycle()
        return self

    def seal(self):
        while self.recording.parts.sealer.due:
            self.recording.parts.sealer.step()
        return self

    def die(self):
        """Let go of everything as a process does that is killed; the ring's memory stays."""
        self.recording.parts.stack.close()
        self.recording = None

    def lose_memory(self):
        """Let the machine start anew: what was in memory only is gone."""
        for path in self.memory.iterdir():
            path.unlink()

    def finish(self):
        self.recording.start()
        try:
            self.recording.finish("done")
        finally:
            self.recording.close()

    def close(self):
        if self.recording is not None:
            with contextlib.suppress(OSError):
                self.recording.parts.stack.close()
