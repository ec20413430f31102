from __future__ import annotations

import numpy as np
import pytest

from brainforge.acquisition.replay import RecordingSource
from brainforge.errors import InputError
from brainforge.info import Channel, Info
from brainforge.recording import Gap, Recording, recording_from_array
from brainforge.testing.source_suite import SourceSuite

INFO = Info(sfreq=100.0, channels=tuple(Channel(f"M{i}", "mag", cal=1e-15) for i in range(3)))


def recording(n: int = 1234, start: int = 500) -> Recording:
    data = np.random.default_rng(2).integers(-999, 999, (3, n), dtype=np.int16)
    gaps = (Gap(700, 712, "dropped"), Gap(1300, 1301, "dropped")) if n > 1000 else ()
    return recording_from_array(data, INFO, start, gaps=gaps)


class TestRecordingSource(SourceSuite):
    block_sizes = (100, 1, 97, 5000)
    gaps = ((700, 712), (1300, 1301))

    def make(self, block_size: int) -> RecordingSource:
        return RecordingSource(recording(), block_size)


class FakeTime:
    def __init__(self) -> None:
        self.now, self.waits = 7.0, []

    def clock(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds


def test_realtime_hands_out_a_block_when_its_last_sample_is_due() -> None:
    time = FakeTime()
    source = RecordingSource(recording(300), 100, realtime=True, clock=time.clock, wait=time.wait)
    due = []
    with source:
        for block in source:
            due.append((block.stop, time.now - 7.0))
            time.now += 0.1
    assert [stop for stop, _ in due] == [600, 700, 800]
    assert [at for _, at in due] == pytest.approx([1.0, 2.0, 3.0])
    assert time.waits == pytest.approx([1.0, 0.9, 0.9])


def test_a_slow_reader_is_not_held_up_further() -> None:
    time = FakeTime()
    with RecordingSource(
        recording(300), 100, realtime=True, clock=time.clock, wait=time.wait
    ) as source:
        for _ in source:
            time.now += 5.0
    assert time.waits == pytest.approx([1.0])


def test_an_empty_block_is_refused() -> None:
    with pytest.raises(InputError, match="block_size: expected at least 1 sample, got 0"):
        RecordingSource(recording(), 0)
