from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pytest

from brainforge.acquisition.by_stamp import StampSequencer
from brainforge.acquisition.driver import Marker, Packet
from brainforge.acquisition.notice import Notice, What
from brainforge.acquisition.sequence import Item, Placed, Position
from brainforge.recording import Event

F64 = npt.NDArray[np.float64]
SFREQ = 1000.0
SEED = 404


@dataclass
class Device:
    """Samples taken at a rate, stamped by a clock, sent in packets that arrive with jitter.

    ``value`` of a sample is its true number. Jitter: of each packet's stamps, of each sample's
    stamp, of arrival.
    """

    ppm: float = 0.0
    packet: int = 50
    packet_jitter: float = 0.0
    sample_jitter: float = 0.0
    arrival_jitter: float = 1e-3
    steps: tuple[tuple[float, float], ...] = ()
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(SEED))

    def packets(self, seconds: float, lost: tuple[tuple[int, int], ...] = ()) -> list[Packet]:
        n = round(seconds * SFREQ)
        keep = np.ones(n, dtype=bool)
        for start, stop in lost:
            keep[start:stop] = False
        numbers = np.flatnonzero(keep)
        return [self.one(numbers[a : a + self.packet]) for a in range(0, len(numbers), self.packet)]

    def one(self, numbers: npt.NDArray[np.intp]) -> Packet:
        taken = 100.0 + numbers / SFREQ / (1 + self.ppm * 1e-6)
        stamps = taken + self.rng.exponential(self.packet_jitter) * np.ones(len(taken))
        stamps += self.rng.normal(0, self.sample_jitter, len(taken))
        for when, size in self.steps:
            stamps += size * (taken > 100.0 + when)
        arrival = float(taken[-1]) + 2e-3 + self.rng.exponential(self.arrival_jitter)
        return Packet(numbers[:, None].astype(float), arrival, None, stamps)


def run(sequencer: StampSequencer, packets: list[Packet]) -> list[Item]:
    items: list[Item] = []
    for one in packets:
        if one.arrival >= sequencer.due():
            items += sequencer.tick(one.arrival)
        items += sequencer.push(one)
    return items + sequencer.finish()


def notices(items: list[Item]) -> list[tuple[str, int, int]]:
    return [(str(i.what), i.start, i.stop) for i in items if isinstance(i, Notice)]


def errors(items: list[Item]) -> F64:
    """By how many samples each was misplaced."""
    return np.concatenate([
        np.arange(p.start, p.stop) - p.data[:, 0] for p in items if isinstance(p, Placed)
    ])  # fmt: skip


def test_an_undisturbed_stream_is_handed_out_at_once() -> None:
    sequencer = StampSequencer(SFREQ)
    for packet in Device().packets(20.0):
        (placed,) = sequencer.push(packet)
        assert isinstance(placed, Placed)
        assert (placed.counter, placed.start) == (-1, int(packet.data[0, 0]))


@pytest.mark.parametrize("ppm", [-3000.0, -100.0, 100.0, 3000.0])
def test_a_rate_that_is_off_makes_no_gaps(ppm: float) -> None:
    items = run(StampSequencer(SFREQ), Device(ppm, packet_jitter=5e-4).packets(900.0))
    assert notices(items) == []


def test_hours_at_100_ppm_make_no_gaps() -> None:
    device = Device(100.0, packet=200, packet_jitter=1e-3, sample_jitter=1e-4)
    items = run(StampSequencer(SFREQ), device.packets(3 * 3600.0))
    assert notices(items) == []


@pytest.mark.parametrize("lost", [1, 2, 7, 50, 333, 20_000])
@pytest.mark.parametrize("at", [30_000, 30_017])
def test_clean_stamps_give_gaps_to_the_sample(lost: int, at: int) -> None:
    print(f"seed {SEED}")
    items = run(StampSequencer(SFREQ), Device(50.0).packets(90.0, ((at, at + lost),)))
    assert notices(items) == [("gap", at, at + lost)]
    gap = next(i for i in items if isinstance(i, Notice))
    assert not gap.exact
    assert gap.cause == "samples missing, estimated from time stamps"
    assert not errors(items).any()


@pytest.mark.parametrize("jitter", [(2e-3, 0.0), (0.0, 1e-3), (1e-3, 5e-4)])
def test_stamps_with_jitter_give_gaps_to_a_few_samples(jitter: tuple[float, float]) -> None:
    device = Device(-80.0, packet_jitter=jitter[0], sample_jitter=jitter[1])
    lost = ((40_000, 40_100), (70_010, 71_000), (90_333, 90_373))
    items = run(StampSequencer(SFREQ), device.packets(120.0, lost))
    found = [(start, stop) for what, start, stop in notices(items) if what == "gap"]
    assert len(notices(items)) == len(found) == 3
    print(found)
    assert np.abs(errors(items)).max() <= 8


def test_jitter_alone_makes_no_gaps() -> None:
    for k, (packet, sample) in enumerate([(2e-3, 0.0), (10e-3, 0.0), (0.0, 3e-3), (3e-3, 1e-3)]):
        rng = np.random.default_rng(SEED + k)
        device = Device(100.0, packet_jitter=packet, sample_jitter=sample, rng=rng)
        items = run(StampSequencer(SFREQ), device.packets(1200.0))
        assert notices(items) == [], (packet, sample)


def test_a_sender_that_stalls_and_catches_up_makes_no_gap() -> None:
    packets = Device().packets(60.0)
    late = packets[609].arrival
    # ten packets stamped and sent together, half a second late
    for k in range(600, 610):
        old = packets[k]
        stamps = late - 2e-3 + (np.arange(50) - 49) / SFREQ
        packets[k] = Packet(old.data, late + 1e-4 * (k - 600), None, stamps)
    items = run(StampSequencer(SFREQ), packets)
    assert notices(items) == []
    assert not errors(items).any()


@pytest.mark.parametrize("size", [-3600.0, -0.4, 0.25, 2.0, 86_400.0])
def test_a_clock_that_steps_loses_nothing(size: float) -> None:
    items = run(StampSequencer(SFREQ), Device(20.0, steps=((40.0, size),)).packets(90.0))
    (notice,) = [i for i in items if isinstance(i, Notice)]
    assert (notice.what, notice.exact) == (What.CLOCK, False)
    assert notice.cause == "the source's clock stepped"
    assert notice.detail["step_s"] == pytest.approx(size, abs=2e-3)
    assert not errors(items).any()


def test_a_gap_and_a_step_are_told_apart() -> None:
    device = Device(20.0, steps=((60.0, 5.0),))
    items = run(StampSequencer(SFREQ), device.packets(120.0, ((30_000, 33_000),)))
    assert [what for what, _, _ in notices(items)] == ["gap", "clock"]
    assert not errors(items).any()


def test_without_stamps_arrival_has_to_do() -> None:
    packets = [
        Packet(p.data, p.arrival) for p in Device(packet=20).packets(60.0, ((30_000, 32_000),))
    ]
    items = run(StampSequencer(SFREQ), packets)
    (notice,) = [i for i in items if isinstance(i, Notice)]
    assert notice.cause == "samples missing, estimated from arrival times"
    assert abs(notice.stop - notice.start - 2000) <= 5


def test_a_recorder_that_takes_over_goes_on_by_the_clock() -> None:
    packets = Device().packets(20.0)[200:]
    sequencer = StampSequencer(SFREQ, Position(8_000, -1, 108.0))
    items = run(sequencer, packets)
    assert notices(items) == [("gap", 8_000, 10_000)]
    assert items[0].cause == "recorder restarted, estimated from time stamps"  # type: ignore[union-attr]


def test_the_gap_behind_a_cut_says_so() -> None:
    packets = Device().packets(40.0, ((20_000, 24_000),))
    sequencer = StampSequencer(SFREQ)
    items = run(sequencer, packets[:400])
    items += sequencer.interrupted("connection lost") + run(sequencer, packets[400:])
    (notice,) = [i for i in items if isinstance(i, Notice)]
    assert (notice.start, notice.stop) == (20_000, 24_000)
    assert notice.cause == "connection lost, estimated from time stamps"


def test_markers_find_the_nearest_sample() -> None:
    packets = Device().packets(10.0)
    last = packets[-1]
    marks = (Marker(3, "tone", stamp=109.9632), Marker(4, stamp=50.0), Marker(5))
    packets[-1] = Packet(last.data, last.arrival, None, last.stamps, marks)
    items = run(StampSequencer(SFREQ), packets)
    events = [e for e in items if isinstance(e, Event)]
    assert [(e.sample, e.code, e.channel) for e in events] == [(9963, 3, "tone"), (9999, 5, "")]
    assert notices(items) == [("late", 0, 0)]
