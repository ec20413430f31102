from __future__ import annotations

import time

import numpy as np
import pytest

from brainforge.acquisition.driver import Ended, Packet
from brainforge.acquisition.live_source import LiveSource
from brainforge.acquisition.phantom_driver import driver
from brainforge.acquisition.replay_driver import RecordingDriver
from brainforge.datasets.phantom import Phantom
from brainforge.errors import InputError
from brainforge.flow import Source
from brainforge.testing.source_suite import SourceSuite


def until_the_end(one: RecordingDriver) -> list[Packet]:
    packets: list[Packet] = []
    try:
        while True:
            packets += one.receive(5.0)
    except Ended:
        return packets


def test_it_is_the_phantom_of_the_data_sets() -> None:
    one = driver("n_channels=16,seed=3,duration=6,gaps=12+40,bad_channels=none,speed=max")
    phantom = Phantom(n_channels=16, seed=3, duration=6.0, gaps=(12, 40), bad_channels=())
    assert one.open(None) == phantom.info
    packets = until_the_end(one)
    one.close()
    indices = np.concatenate([p.counters for p in packets])
    assert len(indices) == 6000 - 52
    expected = np.concatenate([b.data for b in phantom.recording().blocks(1000)], axis=1)
    assert np.array_equal(np.concatenate([p.data for p in packets]).T, expected)
    assert sum(p.cause == "dropped" for p in packets) == 2


def test_without_a_word_it_lasts_a_day_and_begins_at_once() -> None:
    one = driver("")
    assert one.name == "phantom"
    began = time.process_time()
    assert one.open(None).n_channels == 306
    (packet, *_) = one.receive(30.0)
    one.close()
    assert packet.data.shape == (50, 306)
    assert time.process_time() - began < 5.0


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("chanels=3", "parameters among speed, background_drift"),
        ("seed", "expected KEY=VALUE, each once, got 'seed'"),
        ("seed=1,seed=2", "each once"),
        ("seed=x", "phantom's seed: expected something like 7, got 'x'"),
        ("gaps=3+x", "phantom's gaps"),
        ("speed=0", "speed"),
        ("n_channels=0", "n_channels"),
    ],
)
def test_what_no_phantom_has_is_refused(text: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        driver(text)


class TestPhantomSource(SourceSuite):
    block_sizes = (200, 37, 4000)
    restarts = False

    def test_is_a_source(self) -> None:
        # what it streams is known when it has been opened
        with self.make(200) as source:
            assert isinstance(source, Source)

    def make(self, block_size: int) -> LiveSource:
        text = "n_channels=8,sfreq=200,duration=9,gaps=30,speed=max"
        return LiveSource(driver(text), block_s=block_size / 200.0)
