"""What every reader has to keep to, as tests to inherit.

Write a class named ``Test...`` that inherits `ReaderSuite` and gives it `make`, which lays a good
recording into a folder and returns its path; pytest collects the rest.
"""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from brainforge.errors import BrainForgeError
from brainforge.readers import open_recording
from brainforge.readers.gate import check_units
from brainforge.recording import Recording

#: what a broken file may cost at most
MEMORY_BYTES = 300 << 20


def damaged(whole: bytes, seed: int, n: int) -> list[bytes]:
    """Return the file cut short, with bits flipped, and with a stretch overwritten."""
    rng = np.random.default_rng(seed)
    out = [b"", whole[:1]]
    out += [whole[:k] for k in np.linspace(2, len(whole) - 1, n).astype(int)]
    for k in range(2 * n):
        data = bytearray(whole)
        # half of the damage goes to the beginning, where formats keep what describes them
        at = int(rng.integers(min(len(data), 4096) if k % 2 else len(data)))
        if k % 3:
            data[at] ^= 1 << int(rng.integers(8))
        else:
            data[at : at + 16] = rng.bytes(len(data[at : at + 16]))
        out.append(bytes(data))
    return out


def read_all(path: Path) -> Recording:
    """Open a recording and read every sample once."""
    recording = open_recording(path)
    for _ in recording.blocks(1000):
        pass
    return recording


class ReaderSuite:
    """Tests that a reader inherits."""

    #: the file of the recording to damage, relative to the path that `make` returns; "" for it
    part: ClassVar[str] = ""
    #: how many cuts, and half as many as flips, to try
    n_damages: ClassVar[int] = 12
    #: whether the recording has MEG channels whose unit can be judged
    has_meg: ClassVar[bool] = True

    def make(self, folder: Path) -> Path:
        """Lay a good recording into ``folder`` and return the path to open."""
        raise NotImplementedError("a suite needs its recording")

    def test_any_cut_gives_the_same_samples(self, tmp_path: Path) -> None:
        """Reading by pieces gives the bits of reading at once."""
        recording = open_recording(self.make(tmp_path))
        for start, stop in recording.segments:
            whole = recording.reader.read(start, stop)
            for size in (1 + (stop - start) // 7, stop - start):
                parts = [
                    recording.reader.read(a, min(a + size, stop)) for a in range(start, stop, size)
                ]
                joined = np.concatenate(parts, axis=1)
                assert joined.dtype == whole.dtype
                assert joined.tobytes() == whole.tobytes()

    def test_it_says_where_it_comes_from(self, tmp_path: Path) -> None:
        """The source names the file, without its folder, and holds its checksum."""
        path = self.make(tmp_path)
        source = open_recording(path).source
        assert source["path"] == Path(source["path"]).name
        assert len(source["sha256"]) == 64
        assert source["sha256"] == open_recording(path).source["sha256"]
        assert isinstance(source["notes"], list)
        assert source["format"]

    def test_wrong_unit_is_stopped(self, tmp_path: Path) -> None:
        """Values a million and more times too large are refused."""
        recording = open_recording(self.make(tmp_path))
        channels = tuple(replace(c, cal=c.cal * 1e15) for c in recording.info.channels)
        wrong = replace(recording, info=replace(recording.info, channels=channels))
        if not self.has_meg:
            check_units(wrong, "it")
            return
        with pytest.raises(BrainForgeError, match="femtotesla"):
            check_units(wrong, "it")

    def test_damage_gives_typed_errors_only(self, tmp_path: Path) -> None:
        """A damaged file is refused in one line or read; memory stays bounded."""
        path = self.make(tmp_path)
        file = path / self.part if path.is_dir() else path.with_name(self.part or path.name)
        file.chmod(0o644)
        whole = file.read_bytes()
        errors: list[BrainForgeError] = []
        tracemalloc.start()
        try:
            for data in damaged(whole, len(whole), self.n_damages):
                file.write_bytes(data)
                try:
                    read_all(path)
                except BrainForgeError as error:
                    errors.append(error)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < MEMORY_BYTES
        assert errors
        assert [str(e) for e in errors if "\n" in str(e) or e.exit_code != 2] == []
