from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest

from brainforge.acquisition.by_counter import CounterSequencer
from brainforge.acquisition.driver import Ended, Packet
from brainforge.acquisition.live_source import LiveSource
from brainforge.acquisition.notice import Notice, What
from brainforge.acquisition.replay_driver import RecordingDriver, driver
from brainforge.archive.writer import import_recording
from brainforge.errors import InputError, ReadError
from brainforge.flow import Source
from brainforge.info import Channel, Info
from brainforge.recording import Event, Gap, Recording, recording_from_array
from brainforge.testing.source_suite import SourceSuite

INFO = Info(
    100.0, (*(Channel(f"M{i}", "mag", cal=1e-15) for i in range(3)), Channel("STI", "stim"))
)
GAPS = (Gap(700, 712, "dropped"), Gap(1300, 1301, "switched off"))
EVENTS = (Event(600, 1, "STI"), Event(705, 5, "button"), Event(990, 7, "button"))


def recording(n: int = 1234, start: int = 500) -> Recording:
    data = np.random.default_rng(2).integers(-999, 999, (4, n), dtype=np.int16)
    gaps = GAPS if n > 1000 else ()
    return recording_from_array(data, INFO, start, gaps=gaps, events=EVENTS)


def playing(speed: float = np.inf, n: int = 1234) -> RecordingDriver:
    return RecordingDriver("replay:it", lambda: recording(n), speed)


def played(one: RecordingDriver, resume: int | None = None) -> list[Packet]:
    packets: list[Packet] = []
    one.open(resume)
    try:
        while True:
            packets += one.receive(1.0)
    except Ended:
        return packets
    finally:
        one.close()


def test_every_sample_comes_with_its_absolute_index() -> None:
    packets = played(playing())
    whole = recording()
    for packet in packets:
        assert packet.data.flags.c_contiguous
        assert len(packet.data) <= 5
        first, last = int(packet.counters[0]), int(packet.counters[-1]) + 1
        assert np.array_equal(packet.data, whole.read(first, last).data.T)
    indices = np.concatenate([p.counters for p in packets])
    expected = [i for a, b in whole.segments for i in range(a, b)]
    assert indices.tolist() == expected


def test_gaps_come_with_their_cause() -> None:
    causes = {int(p.counters[0]): p.cause for p in played(playing()) if p.cause}
    assert causes == {712: "dropped", 1301: "switched off"}


def test_events_that_no_trigger_channel_holds_are_markers() -> None:
    markers = [(m.counter, m.code, m.label) for p in played(playing()) for m in p.markers]
    assert markers == [(705, 5, "button"), (990, 7, "button")]


@pytest.mark.parametrize("resume", [0, 500, 733, 705, 1733])
def test_it_goes_on_where_it_was_left(resume: int) -> None:
    packets = played(playing(), resume)
    expected = [i for a, b in recording().segments for i in range(a, b) if i >= resume]
    assert np.concatenate([p.counters for p in packets]).tolist() == expected
    assert sum(len(p.markers) for p in packets) == sum(e.sample >= resume for e in EVENTS[1:])


def test_at_the_pace_of_its_device_no_packet_comes_early() -> None:
    began = time.monotonic()
    packets = played(playing(speed=1.0, n=40))
    for packet in packets:
        taken = began + (packet.counters + 1 - 500) / 100.0
        assert packet.arrival >= taken[-1] - 1e-6
        assert packet.stamps == pytest.approx(taken, abs=0.3)
        assert packet.stamps[-1] <= packet.arrival
    assert len(packets) == 8


def test_faster_means_sooner_and_no_stamps() -> None:
    began = time.monotonic()
    packets = played(playing(speed=20.0, n=600))
    assert 6.0 / 20.0 <= time.monotonic() - began < 3.0
    assert all(p.stamps is None for p in packets)


def test_a_long_gap_is_not_waited_for() -> None:
    data = np.zeros((4, 100_020), dtype=np.int16)
    gaps = (Gap(10, 100_010, "a break"),)
    one = RecordingDriver("x", lambda: recording_from_array(data, INFO, gaps=gaps))
    began = time.monotonic()
    packets = played(one)
    assert 1.0 <= time.monotonic() - began < 5.0
    assert [int(p.counters[0]) for p in packets] == [0, 5, 100_010, 100_015]
    assert packets[2].stamps[0] - packets[1].stamps[-1] == pytest.approx(1.0, abs=0.5)


def test_wake_ends_a_wait() -> None:
    one = RecordingDriver("x", recording, 1e-6)
    one.open(None)
    began = time.monotonic()
    timer = threading.Timer(0.05, one.wake)
    timer.start()
    assert one.receive(60.0) == []
    assert time.monotonic() - began < 10.0
    timer.join()
    one.close()
    one.wake()


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "a,b.zarr"
    import_recording(recording(), path)
    return path


def test_an_archive_is_played(archive: Path) -> None:
    one = driver(f"{archive},speed=max")
    assert one.name == f"replay:{archive}"
    packets = played(one)
    whole = np.concatenate([p.data for p in packets])
    expected = np.concatenate([recording().read(a, b).data.T for a, b in recording().segments])
    assert np.array_equal(whole, expected)
    assert {p.cause for p in packets} == {"", "dropped", "switched off"}


@pytest.mark.shared_data
@pytest.mark.parametrize("name", ["opm_cerca64_raw", "opm_quspin_n1_lvm"])
def test_files_of_vendors_are_played(shared_data: Path, name: str) -> None:
    (path,) = [p for p in (shared_data / name).iterdir() if p.suffix in (".cMEG", ".lvm")]
    one = driver(str(path), speed="max")
    info = one.open(None)
    packets = one.receive(30.0)
    one.close()
    assert packets[0].data.shape == (round(0.05 * info.sfreq), info.n_channels)


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="expected a recording, got nothing there"):
        driver(str(tmp_path / "none.fif")).open(None)


@pytest.mark.parametrize("speed", ["0", "fast", "-1", "nan", ""])
def test_a_speed_that_is_none_is_refused(speed: str) -> None:
    with pytest.raises(InputError, match="speed: expected a number above 0, or max"):
        driver(f"x.fif,speed={speed}")


def test_behind_a_gap_whose_cause_is_told_nothing_waits() -> None:
    sequencer = CounterSequencer(100.0)
    items = []
    for packet in played(playing()):
        items += sequencer.push(packet)
        # not even for a moment, in case it was overtaken
        assert sequencer.due() == np.inf
    gaps = [(i.what, i.start, i.stop, i.cause) for i in items if isinstance(i, Notice)]
    assert gaps == [
        (What.GAP, 200, 212, "dropped"),
        (What.GAP, 800, 801, "switched off"),
    ]


class TestReplayedSource(SourceSuite):
    block_sizes = (100, 1, 97, 5000)
    restarts = False
    gaps = ((200, 212), (800, 801))

    def test_is_a_source(self) -> None:
        # what it streams is known when it has been opened
        with self.make(100) as source:
            assert isinstance(source, Source)

    def make(self, block_size: int) -> LiveSource:
        return LiveSource(playing(), block_s=block_size / 100.0)
