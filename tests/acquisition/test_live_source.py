from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from brainforge.acquisition.driver import ConnectionLost, Marker, Packet
from brainforge.acquisition.live_source import LiveSource, Piece, Position
from brainforge.acquisition.notice import Notice, What
from brainforge.errors import InputError
from brainforge.flow import Source
from brainforge.info import Channel, Info
from brainforge.recording import Event
from brainforge.testing.live_source_suite import LiveSourceSuite
from brainforge.testing.source_suite import SourceSuite
from tests.acquisition.scripted_driver import (
    SFREQ,
    Cut,
    MemoryDevice,
    Quiet,
    ScriptedDriver,
    make_info,
)


def packet(first: int, n: int = 50, at: float | None = None, **more: Any) -> Packet:
    """Samples of two sensors and the counter; taken at ``first / SFREQ``."""
    rng = np.random.default_rng(first)
    data = (1e-13 * rng.standard_normal((n, 3))).astype(np.float32)
    data[:, 2] = np.arange(first, first + n)
    counters = np.arange(first, first + n)
    return Packet(data, (first + n) / SFREQ if at is None else at, counters, **more)


def play(script: list[Any], **options: Any) -> tuple[list[Any], LiveSource, ScriptedDriver]:
    driver = options.pop("driver", ScriptedDriver)(script)
    source = LiveSource(driver, monotonic=driver.monotonic, **options)
    with source:
        return list(source.stream()), source, driver


def refused(script: list[Any], expected: str) -> list[Any]:
    """Play a script that ends with an error; return what came before it."""
    driver = ScriptedDriver(script)
    items: list[Any] = []
    source = LiveSource(driver, monotonic=driver.monotonic)
    with pytest.raises(InputError, match=expected), source:
        items.extend(source.stream())
    return items


def notices(items: list[Any]) -> list[tuple[str, int, int]]:
    return [(str(i.what), i.start, i.stop) for i in items if isinstance(i, Notice)]


def places(items: list[Any]) -> list[tuple[int, int, int]]:
    return [(i.block.start, i.block.stop, i.counter) for i in items if isinstance(i, Piece)]


# suites


class TestScripted(SourceSuite):
    restarts = False
    block_sizes = (100, 1, 97, 5000)
    gaps = ((700, 712), (1900, 1950))

    def test_is_a_source(self) -> None:
        # what it streams is known when it has been connected
        with self.make(100) as source:
            assert isinstance(source, Source)

    def make(self, block_size: int) -> LiveSource:
        lost = {*range(700, 712), *range(1900, 1950)}
        script = []
        for a in range(0, 3000, 30):
            whole = packet(a, 30)
            keep = [k for k in range(30) if a + k not in lost]
            if keep:
                kept = replace(whole, data=whole.data[keep], counters=whole.counters[keep])
                script.append(kept)
        driver = ScriptedDriver(script)
        return LiveSource(driver, block_s=block_size / SFREQ, monotonic=driver.monotonic)


class InMemory(LiveSourceSuite):
    counters, stamps = True, True
    relays_layout = True

    @contextmanager
    def device(self) -> Iterator[MemoryDevice]:
        yield MemoryDevice(self.names, self.counters, self.stamps)


class TestByCounter(InMemory):
    pass


class TestByCounterChannel(InMemory):
    counters = stamps = False
    options = {"counter_channel": "COUNTER"}  # noqa: RUF012


class TestByStamp(InMemory):
    counters, exact = False, False


# pieces


def test_pieces_are_cut_to_the_block_and_keep_counter_and_stamp() -> None:
    stamps = 5.0 + np.arange(120) / SFREQ
    items, source, _ = play([packet(1000, 120, at=0.2, stamps=stamps)])
    assert places(items) == [(0, 50, 1000), (50, 100, 1050), (100, 120, 1100)]
    assert [p.stamp for p in items] == pytest.approx([5.049, 5.099, 5.119])
    assert [p.arrival for p in items] == [0.2] * 3
    assert source.exact


def test_short_packets_that_come_together_are_joined() -> None:
    class Together(ScriptedDriver):
        def receive(self, timeout: float) -> list[Packet]:
            first = super().receive(timeout)
            rest, self.script = self.script, []
            return [*first, *rest]  # type: ignore[list-item]

    items, _, _ = play([packet(10 * k, 10, at=0.0) for k in range(10)], driver=Together)
    assert places(items) == [(0, 50, 0), (50, 100, 50)]


def test_without_counter_and_stamp_there_is_none() -> None:
    items, source, _ = play([replace(packet(50 * k), counters=None) for k in range(10)])
    assert not source.exact
    assert places(items) == [(50 * k, 50 * k + 50, -1) for k in range(10)]
    assert all(math.isnan(piece.stamp) for piece in items)


# silence, cuts


def test_silence_is_said_once_after_a_second() -> None:
    script = [packet(0), Quiet(7.0), packet(50, at=7.1), Quiet(2.0), packet(100, at=9.1)]
    items, _, _ = play(script, block_s=1.0)
    assert notices(items) == [("silent", 50, 50), ("silent", 100, 100)]
    assert items[1].cause == "connected, but nothing has come for 1 s"


def test_a_cut_is_lost_then_reconnected_then_the_gap() -> None:
    # away for 3 s, at 0.05 s a sample 50 would be next
    script = [packet(0), Cut(3.0), packet(3500, at=3.6), packet(3550, at=3.65)]
    items, _, driver = play(script)
    # what waits for the gap to fill is handed out at the end
    assert notices(items) == [("lost", 50, 50), ("reconnected", 50, 50), ("gap", 50, 3500)]
    lost, back, gap = (i for i in items if isinstance(i, Notice))
    assert lost.cause == "the cable was pulled"
    assert back.detail["seconds"] == pytest.approx(3.55, abs=0.05)
    assert (gap.cause, gap.exact) == ("connection lost", True)
    assert places(items)[1:] == [(3500, 3550, 3500), (3550, 3600, 3550)]
    assert driver.opened == [None, 50]


def test_a_sender_that_has_kept_everything_leaves_no_gap() -> None:
    script = [packet(0), Cut(1.0), *(packet(50 * k, at=1.3) for k in range(1, 30))]
    items, _, _ = play(script)
    assert notices(items) == [("lost", 50, 50), ("reconnected", 50, 50)]
    assert places(items)[-1] == (1450, 1500, 1450)


def test_a_connection_that_flaps_is_lost_once() -> None:
    script = [packet(0), Cut(0.5), Cut(0.5), Cut(0.5), packet(50, at=2.0)]
    items, _, driver = play(script)
    assert notices(items) == [("lost", 50, 50), ("reconnected", 50, 50)]
    assert len(driver.opened) == 4


def test_it_can_be_stopped_while_nobody_answers() -> None:
    driver = ScriptedDriver([packet(0), Cut(math.inf)])
    source = LiveSource(driver, monotonic=driver.monotonic)
    items = []
    with source:
        for item in source.stream():
            items.append(item)
            if isinstance(item, Notice):
                threading.Timer(0.1, source.stop).start()
    assert notices(items) == [("lost", 50, 50)]
    assert driver.woken == 1


def test_what_waits_when_it_is_stopped_still_comes() -> None:
    driver = ScriptedDriver([packet(50 * k, at=0.0) for k in range(20) if k != 3])
    source = LiveSource(driver, monotonic=driver.monotonic)
    items = []
    with source:
        for item in source.stream():
            items.append(item)
            if isinstance(item, Piece) and item.block.stop == 150:
                source.stop()
    assert notices(items) == [("gap", 150, 200)]
    assert places(items)[-1] == (200, 250, 200)


def test_nobody_at_first_is_one_line() -> None:
    driver = ScriptedDriver([])
    driver.down_until = 1e9
    expected = "scripted: expected a source that answers, got nobody answers; check"
    with (
        pytest.raises(InputError, match=expected),
        LiveSource(driver, monotonic=driver.monotonic, retry_s=0.5),
    ):
        pass
    assert driver.now < 2.0


# taking over


def test_a_recorder_that_takes_over_waits_for_the_source() -> None:
    driver = ScriptedDriver([packet(10_700, at=2.0), packet(10_750, at=2.05)])
    driver.down_until = 1.0
    source = LiveSource(
        driver, monotonic=driver.monotonic, info=make_info(), position=Position(500, 10_500, 0.5)
    )
    with source:
        items = list(source.stream())
    assert notices(items) == [("lost", 500, 500), ("reconnected", 500, 500), ("gap", 500, 700)]
    assert places(items) == [(700, 750, 10_700), (750, 800, 10_750)]
    assert driver.opened == [10_500]


def test_a_recorder_that_takes_over_refuses_another_stream() -> None:
    source = LiveSource(ScriptedDriver([]), info=make_info(("M0", "M2", "COUNTER")))
    with (
        pytest.raises(InputError, match="expected channel 1 to be M2, got M1"),
        source,
    ):
        pass


# what is refused


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        (make_info(("M1", "M0", "COUNTER")), "channel 0 to be M0, got M1"),
        (make_info(("M0", "M1")), "3 channels, got 2"),
        (make_info(sfreq=500.0), "1000 Hz, got 500 Hz"),
        (
            Info(SFREQ, (Channel("M0", "mag", cal=2.0), *make_info().channels[1:])),
            "M0 to be mag times 1 plus 0, got mag times 2",
        ),
    ],
)
def test_a_stream_that_comes_back_as_another_is_refused(info: Info, expected: str) -> None:
    items = refused([packet(0), Cut(0.1, info), packet(50)], expected)
    assert [what for what, _, _ in notices(items)] == ["lost", "refused"]
    assert places(items) == [(0, 50, 0)]


@pytest.mark.parametrize("change", ["dtype", "channels", "dimensions"])
def test_samples_that_change_in_mid_stream_are_refused(change: str) -> None:
    other = packet(50)
    data = {
        "dtype": other.data.astype(np.float64),
        "channels": other.data[:, :2],
        "dimensions": other.data[:, 0],
    }[change]
    expected = "expected 3 channels of float32, got"
    items = refused([packet(0), replace(other, data=data)], expected)
    assert notices(items) == [("refused", 50, 50)]


def test_femtotesla_called_tesla_stop_before_anything_is_handed_out() -> None:
    wrong = packet(0)
    wrong = replace(wrong, data=(wrong.data * 1e15).astype(np.float32))
    items = refused([wrong], "which looks like femtotesla; let the sender state")
    assert notices(items) == [("refused", 0, 0)]
    assert places(items) == []


def test_tesla_scaled_twice_stop_after_a_second() -> None:
    factors = np.float32([1e-15, 1e-15, 1.0])
    script = [packet(k) for k in range(0, 2000, 50)]
    items = refused(
        [replace(p, data=p.data * factors) for p in script], "values scaled to tesla twice"
    )
    assert places(items)[-1][1] == 950


# the counter channel


def test_the_counter_channel_is_the_counter_and_stays_in_the_data() -> None:
    script = [replace(packet(k), counters=None) for k in (100, 150, 250, 300, 350, 400, 450)]
    items, source, _ = play(script, counter_channel="COUNTER")
    assert source.exact
    assert notices(items) == [("gap", 100, 150)]
    assert all(p.block.data[2, 0] == p.block.start + 100 for p in items if isinstance(p, Piece))


def test_a_counter_channel_that_is_not_there_names_some_that_are() -> None:
    source = LiveSource(ScriptedDriver([]), counter_channel="counter")
    with pytest.raises(InputError, match=r"got 'counter'; there are 3, among them COUNTER"), source:
        pass


# events and clocks


def test_markers_become_events_at_their_samples() -> None:
    early = Packet(np.empty((0, 3), np.float32), 0.0, markers=(Marker(7, "early", counter=105),))
    marks = (Marker(1, "tone", counter=120), Marker(2, stamp=5.0132))
    script = [early, packet(100, stamps=5.0 + np.arange(50) / SFREQ, markers=marks)]
    items, _, _ = play(script)
    assert items[-3:] == [Event(5, 7, "early"), Event(20, 1, "tone"), Event(13, 2, "")]


def test_drift_is_measured_and_said_but_nothing_is_resampled() -> None:
    rng = np.random.default_rng(3)
    script = []
    for k in range(3000):
        taken = (50 * k + np.arange(50)) / SFREQ / (1 + 100e-6)
        arrival = float(taken[-1]) + 1e-3 + rng.exponential(1e-3)
        script.append(packet(50 * k, at=arrival, stamps=taken))
    items, source, _ = play(script)
    (notice,) = [i for i in items if isinstance(i, Notice)]
    assert (notice.what, notice.exact) == (What.CLOCK, False)
    assert notice.detail["drift_ppm"] == pytest.approx(100.0, abs=10.0)
    clock = source.clock()
    assert clock["drift_ppm"] == pytest.approx(100.0, abs=3.0)
    assert clock["offset_s"] == pytest.approx(2e-3, abs=1e-3)
    assert (clock["n"], clock["steps"]) == (3000, 0)
    assert places(items)[-1][1] == 150_000


def test_a_clock_that_steps_is_said_where_a_counter_gives_the_places() -> None:
    script = []
    for k in range(600):
        stamps = (50 * k + np.arange(50)) / SFREQ + (2.0 if k >= 400 else 0.0)
        script.append(packet(50 * k, at=0.06 + 0.05 * k, stamps=stamps))
    items, source, _ = play(script)
    (notice,) = [i for i in items if isinstance(i, Notice)]
    assert notice.cause == "the source's clock stepped"
    assert notice.detail["step_s"] == pytest.approx(2.0, abs=1e-3)
    assert source.clock()["steps"] == 1
    assert places(items)[-1][1] == 30_000


def test_before_anything_has_come_the_clock_is_known_to_be_unknown() -> None:
    source = LiveSource(ScriptedDriver([]))
    assert source.clock() == {
        "offset_s": 0.0, "drift_ppm": 0.0, "n": 0, "residual_ms": 0.0, "steps": 0,
    }  # fmt: skip
    with pytest.raises(InputError, match="expected an open source"):
        _ = source.info


def test_an_error_of_the_driver_comes_through() -> None:
    class Broken(ScriptedDriver):
        def receive(self, timeout: float) -> list[Packet]:
            raise KeyError("a defect")

    driver = Broken([])
    with LiveSource(driver) as source, pytest.raises(KeyError):
        list(source.stream())
    assert driver.closed == 1
    assert isinstance(ConnectionLost("x"), ConnectionError)
