from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainforge.acquisition.by_counter import CounterSequencer
from brainforge.acquisition.driver import Marker, Packet
from brainforge.acquisition.notice import Notice, What
from brainforge.acquisition.sequence import Item, Placed, Position
from brainforge.errors import InputError
from brainforge.recording import Event

SFREQ = 1000.0


def packet(
    first: int,
    n: int = 10,
    at: float | None = None,
    *,
    true: int | None = None,
    stamp: float | None = None,
    bits: int | None = None,
    markers: tuple[Marker, ...] = (),
) -> Packet:
    """Samples whose value is the device's true sample number."""
    true = first if true is None else true
    counters = np.arange(first, first + n)
    if bits is not None:
        counters = counters % (1 << bits)
    stamps = None if stamp is None else stamp + np.arange(n) / SFREQ
    at = (first + n) / SFREQ if at is None else at
    data = np.arange(true, true + n, dtype=np.float64)[:, None]
    return Packet(data, at, counters, stamps, markers)


def notices(items: list[Item]) -> list[tuple[str, int, int]]:
    return [(str(i.what), i.start, i.stop) for i in items if isinstance(i, Notice)]


def stored(items: list[Item]) -> list[tuple[int, float]]:
    """(absolute index, value) of every sample handed out, in the order of handing out."""
    return [
        (p.start + k, float(v))
        for p in items
        if isinstance(p, Placed)
        for k, v in enumerate(p.data[:, 0])
    ]


def run(sequencer: CounterSequencer, packets: list[Packet]) -> list[Item]:
    items: list[Item] = []
    for one in packets:
        if one.arrival >= sequencer.due():
            items += sequencer.tick(one.arrival)
        items += sequencer.push(one)
    return items + sequencer.finish()


def check(items: list[Item]) -> None:
    """Every index is stored once or lies in one gap, in order; a gap stands before its end."""
    at = 0
    for item in items:
        if isinstance(item, Placed):
            assert item.start == at
            at = item.stop
        elif isinstance(item, Notice) and item.what is What.GAP:
            assert item.start == at < item.stop
            at = item.stop


# planted faults


@dataclass(frozen=True)
class Plan:
    """What happens to each frame on its way: (op, slots later)."""

    sizes: list[int]
    ops: list[tuple[str, int]]

    def arrivals(self) -> list[tuple[int, float]]:
        """(frame, arrival) in the order of arrival."""
        ends = np.cumsum(self.sizes) / SFREQ
        slots: list[tuple[float, int]] = []
        for i, (op, later) in enumerate(self.ops):
            if op in ("keep", "twice"):
                slots.append((i, i))
            if op == "twice":
                slots.append((i + later + 0.3, i))
            if op == "late":
                slots.append((i + later + 0.6, i))
        slots.sort()
        return [(i, float(ends[min(int(slot), len(ends) - 1)])) for slot, i in slots]

    def ledger(self) -> list[tuple[str, int, int]]:
        edges = [0, *itertools.accumulate(self.sizes)]
        order = [i for i, _ in self.arrivals()]
        expected, seen = [], set()
        for k, i in enumerate(order):
            if i in seen:
                expected.append(("duplicate", edges[i], edges[i + 1]))
            elif any(j > i for j in order[:k]):
                expected.append(("reordered", edges[i], edges[i + 1]))
            seen.add(i)
        for lost, group in itertools.groupby(range(len(self.sizes)), lambda i: i not in seen):
            frames = list(group)
            if lost:
                expected.append(("gap", edges[frames[0]], edges[frames[-1] + 1]))
        return sorted(expected)


def plans() -> st.SearchStrategy[Plan]:
    op = st.one_of(
        st.just(("keep", 0)), st.just(("drop", 0)),
        st.tuples(st.sampled_from(["twice", "late"]), st.integers(0, 3)),
    )  # fmt: skip
    frames = st.lists(st.tuples(st.integers(1, 20), op), max_size=60)
    return frames.map(
        lambda f: Plan([5, *(n for n, _ in f), 5], [("keep", 0), *(o for _, o in f), ("keep", 0)])
    )


@settings(max_examples=300, deadline=None)
@given(plans(), st.sampled_from([None, 10, 32]), st.booleans())
def test_every_planted_fault_is_exactly_one_entry(
    plan: Plan, bits: int | None, stamped: bool
) -> None:
    edges = [0, *itertools.accumulate(plan.sizes)]
    packets = [
        packet(edges[i], plan.sizes[i], at, bits=bits, stamp=edges[i] / SFREQ if stamped else None)
        for i, at in plan.arrivals()
    ]
    items = run(CounterSequencer(SFREQ, bits), packets)
    check(items)
    samples = stored(items)
    assert sorted(notices(items)) == plan.ledger()
    assert all(index == value for index, value in samples)
    gaps = sum(i.stop - i.start for i in items if isinstance(i, Notice) and i.what is What.GAP)
    assert len(samples) + gaps == edges[-1]
    assert all(i.exact for i in items if isinstance(i, Notice))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 400), st.integers(1, 50)), min_size=1, max_size=80))
def test_whatever_counters_come_no_index_is_given_twice(runs: list[tuple[int, int]]) -> None:
    packets = [packet(first, n, 0.02 * k) for k, (first, n) in enumerate(runs)]
    items = run(CounterSequencer(SFREQ), packets)
    check(items)


def test_an_undisturbed_stream_is_handed_out_at_once() -> None:
    sequencer = CounterSequencer(SFREQ)
    for k in range(5):
        (placed,) = sequencer.push(packet(1000 + 10 * k))
        assert isinstance(placed, Placed)
        assert (placed.start, placed.counter, sequencer.wanted) == (
            10 * k,
            1000 + 10 * k,
            placed.counter + 10,
        )
    assert sequencer.due() == float("inf")


@pytest.mark.parametrize("bits", [8, 12, 16, 24, 32])
def test_a_wrap_is_no_event_where_the_width_is_given(bits: int) -> None:
    first = (1 << bits) - 25
    items = run(
        CounterSequencer(SFREQ, bits), [packet(first + 10 * k, bits=bits) for k in range(9)]
    )
    assert notices(items) == []
    assert [i for i, _ in stored(items)] == list(range(90))


@pytest.mark.parametrize("bits", [8, 16, 24, 32])
@pytest.mark.parametrize("cut", [20, 25])
def test_a_wrap_is_found(bits: int, cut: int) -> None:
    first = (1 << bits) - cut
    items = run(CounterSequencer(SFREQ), [packet(first + 10 * k, bits=bits) for k in range(9)])
    assert notices(items) == [("counter", 20, 20)] if cut == 20 else [("counter", 25, 25)]
    assert [i for i, _ in stored(items)] == list(range(90))
    assert next(i for i in items if isinstance(i, Notice)).detail == {"modulus": 1 << bits}


def test_a_wrap_with_a_loss_is_found_from_twelve_bits_on() -> None:
    first = (1 << 16) - 20
    packets = [packet(first + 10 * k, bits=16) for k in (0, 1, 3, 4)]
    items = run(CounterSequencer(SFREQ), packets)
    assert notices(items) == [("counter", 20, 20), ("gap", 20, 30)]


def test_a_signed_counter_wraps_below_zero() -> None:
    counters = (np.arange(32760, 32800) + 32768) % 65536 - 32768
    items = []
    sequencer = CounterSequencer(SFREQ, 16)
    for k in range(4):
        part = counters[10 * k : 10 * k + 10]
        items += sequencer.push(Packet(np.zeros((10, 1)), 0.01 * k, part))
    assert notices(items) == []
    assert sequencer.sample == 40


def test_a_gap_longer_than_a_wrap_is_told_by_time() -> None:
    # 150 s lost at 1 kHz: 16 bits wrap more than twice
    packets = [packet(k, bits=16) for k in (0, 10, 150_020, 150_030)]
    items = run(CounterSequencer(SFREQ, 16), packets)
    assert notices(items) == [("gap", 20, 150_020)]


def test_what_comes_when_its_place_is_given_up_is_late() -> None:
    packets = [packet(0), packet(20, at=0.03), packet(30), *(packet(10 * k) for k in range(4, 20))]
    packets.insert(16, packet(10, at=packets[15].arrival))
    items = run(CounterSequencer(SFREQ), packets)
    assert notices(items) == [("gap", 10, 20), ("late", 10, 20)]
    assert [i for i, _ in stored(items)] == [*range(10), *range(20, 200)]


def test_the_new_part_of_a_packet_that_overlaps_is_kept() -> None:
    items = run(CounterSequencer(SFREQ), [packet(0), packet(5, 10), packet(15)])
    assert notices(items) == [("duplicate", 5, 10)]
    assert stored(items) == [(i, float(i)) for i in range(25)]


def test_counters_that_jump_inside_a_packet_are_gaps() -> None:
    whole = packet(0, 50)
    keep = np.r_[0:10, 12:30, 35:50]
    jumps = Packet(whole.data[keep], 0.05, whole.counters[keep])
    items = run(CounterSequencer(SFREQ), [jumps, packet(50, 200)])
    assert notices(items) == [("gap", 10, 12), ("gap", 30, 35)]


def test_no_more_than_the_hold_waits() -> None:
    sequencer = CounterSequencer(SFREQ, hold_packets=8)
    sequencer.push(packet(0))
    items = []
    for k in range(2, 11):
        items += sequencer.push(packet(10 * k, at=0.02))
    assert notices(items) == [("gap", 10, 20)]
    assert sequencer.sample == 110


# devices that begin anew


@pytest.mark.parametrize("before", [30, 500, 5_000, 5_000_000])
@pytest.mark.parametrize("stamped", [True, False])
def test_a_device_that_restarts_goes_on_by_time(before: int, stamped: bool) -> None:
    def one(counter: int, t: float) -> Packet:
        return packet(counter, at=t + 0.011, stamp=t if stamped else None)

    packets = [one(before + 10 * k, 0.01 * k) for k in range(20)]
    # 0.8 s away, then from 0
    packets += [one(10 * k, 1.0 + 0.01 * k) for k in range(40)]
    items = run(CounterSequencer(SFREQ), packets)
    check(items)
    assert notices(items) == [("counter", 1000, 1000), ("gap", 200, 1000)]
    gap = next(i for i in items if isinstance(i, Notice) and i.what is What.GAP)
    assert not gap.exact
    assert gap.detail["estimated_from"] == ("time stamps" if stamped else "arrival times")
    assert [i for i, _ in stored(items)] == [*range(200), *range(1000, 1400)]


def test_a_restart_without_a_pause_loses_nothing() -> None:
    packets = [packet(1000 + 10 * k, at=0.01 * k) for k in range(20)]
    packets += [packet(10 * k, at=0.2 + 0.01 * k) for k in range(40)]
    items = run(CounterSequencer(SFREQ), packets)
    assert notices(items) == [("counter", 200, 200)]
    assert [i for i, _ in stored(items)] == list(range(600))


def test_an_absurd_leap_is_a_new_count() -> None:
    packets = [packet(10 * k) for k in range(20)]
    packets += [packet(4_000_000_000 + 10 * k, at=0.21 + 0.01 * k) for k in range(40)]
    items = run(CounterSequencer(SFREQ), packets)
    assert notices(items) == [("counter", 200, 200)]
    assert [i for i, _ in stored(items)] == list(range(600))


def test_a_packet_with_a_mad_counter_harms_nobody_else() -> None:
    for mad in (4_000_000_000, 300, 3000):
        packets = [packet(10 * k) for k in range(200)]
        packets[10] = packet(mad, at=0.11)
        items = run(CounterSequencer(SFREQ), packets)
        check(items)
        kinds = sorted(what for what, _, _ in notices(items))
        assert kinds == ["counter", "gap"], mad
        assert [i for i, _ in stored(items)] == [*range(100), *range(110, 2000)]


def test_a_replay_may_be_as_fast_as_it_likes() -> None:
    packets = [packet(10 * k, at=1e-5 * k) for k in range(1000)]
    packets += [packet(5_000_000 + 10 * k, at=0.01 + 1e-5 * k) for k in range(1000)]
    items = run(CounterSequencer(SFREQ), packets)
    assert notices(items) == [("gap", 10_000, 5_000_000)]


def test_duplicates_in_a_burst_are_no_restart() -> None:
    packets = [packet(10 * k) for k in range(100)]
    again = [packet(10 * k, at=1.0) for k in range(50, 90)]
    items = run(CounterSequencer(SFREQ), [*packets, *again, packet(1000)])
    assert {what for what, _, _ in notices(items)} == {"duplicate"}
    assert len(notices(items)) == 40
    assert [i for i, _ in stored(items)] == list(range(1010))


# taking over, and interruptions


def test_a_recorder_that_takes_over_goes_on_exactly() -> None:
    sequencer = CounterSequencer(SFREQ, position=Position(500, 10_500, 3.0))
    assert sequencer.wanted == 10_500
    items = sequencer.push(packet(10_530, at=3.05)) + sequencer.tick(4.0)
    assert notices(items) == [("gap", 500, 530)]
    gap = items[0]
    assert isinstance(gap, Notice)
    assert (gap.cause, gap.exact) == ("recorder restarted", True)


def test_a_position_beyond_the_wrap_is_understood() -> None:
    sequencer = CounterSequencer(SFREQ, position=Position(500, 3 * 65536 + 10, 3.0))
    items = sequencer.push(packet(10, at=3.01))
    assert notices(items) == [("counter", 500, 500)]
    assert sequencer.wanted == 3 * 65536 + 20


def test_a_position_without_a_counter_goes_on_by_time() -> None:
    sequencer = CounterSequencer(SFREQ, position=Position(500, -1, 3.0))
    items = sequencer.push(packet(77, at=5.01, stamp=5.0))
    assert notices(items) == [("gap", 500, 2500)]
    assert sequencer.sample == 2510


def test_the_gap_behind_a_cut_says_so() -> None:
    sequencer = CounterSequencer(SFREQ)
    items = sequencer.push(packet(0)) + sequencer.interrupted("connection lost")
    items += sequencer.push(packet(500, at=0.6)) + sequencer.tick(1.0)
    gap = next(i for i in items if isinstance(i, Notice))
    assert (gap.what, gap.start, gap.stop, gap.cause) == (What.GAP, 10, 500, "connection lost")


def test_what_waits_is_handed_out_when_the_connection_goes() -> None:
    sequencer = CounterSequencer(SFREQ)
    sequencer.push(packet(0))
    assert sequencer.push(packet(20)) == []
    items = sequencer.interrupted("connection lost")
    assert notices(items) == [("gap", 10, 20)]
    assert sequencer.sample == 30


# markers


def test_markers_find_their_sample_by_counter_and_by_stamp() -> None:
    sequencer = CounterSequencer(SFREQ, 8)
    sequencer.push(packet(250, stamp=1.0, bits=8))
    marks = (Marker(1, "a", counter=2), Marker(2, "b", counter=252), Marker(3, "c", stamp=1.0142))
    items = sequencer.push(packet(260, stamp=1.01, bits=8, markers=marks))
    events = [(e.sample, e.code, e.channel) for e in items if isinstance(e, Event)]
    assert events == [(8, 1, "a"), (2, 2, "b"), (14, 3, "c")]


def test_the_markers_of_a_repeated_packet_are_not_repeated() -> None:
    once = packet(0, markers=(Marker(1, counter=3),))
    items = run(CounterSequencer(SFREQ), [once, once, packet(10)])
    assert len([e for e in items if isinstance(e, Event)]) == 1


def test_a_trigger_before_the_first_sample_is_said() -> None:
    items = run(CounterSequencer(SFREQ), [packet(100, markers=(Marker(5, counter=90),))])
    assert notices(items) == [("late", 0, 0)]


def test_samples_without_counters_are_refused() -> None:
    with pytest.raises(InputError, match="packet: expected counters"):
        CounterSequencer(SFREQ).push(Packet(np.zeros((3, 1)), 0.0))


def test_a_count_that_is_known_to_begin_anew_is_never_taken_for_old_samples() -> None:
    sequencer = CounterSequencer(1000.0)
    data = np.arange(300, dtype=np.float32)[:, None]
    items = sequencer.push(Packet(data[:100], 0.1, np.arange(100)))
    items += sequencer.push(Packet(data[100:200], 0.2, np.arange(50, 150), anew=True))
    items += sequencer.push(Packet(data[200:], 0.3, np.arange(150, 250)))
    placed = [item for item in items if isinstance(item, Placed)]
    assert np.array_equal(np.concatenate([p.data for p in placed]), data)
    assert [p.start for p in placed] == [0, 100, 200]
    notices = [item for item in items if isinstance(item, Notice)]
    assert [n.what for n in notices] == [What.COUNTER]
