"""Ages count from the device's clock; what was not looked at is said."""

from __future__ import annotations

import os
import time

import pytest

from benchmarks.live_ages import Sight, percentiles
from benchmarks.live_ingest import PEERS, Reader, ages_of
from benchmarks.live_session import every_sample
from brainforge.feed import Snapshot


def snapshot(sequence, sample, written, arrival=0.0, coverage=1.0):
    meta = {"sample": sample, "arrival": arrival, "coverage": coverage}
    return Snapshot("traces", sequence, written, meta)


def test_ages_count_from_the_sample():
    sight = Sight()
    for k in range(1, 5):
        # blocks of 50 ms, shown 8 ms after they were taken and 3 ms after they came
        shown = snapshot(k, 50 * k, 100 + 0.05 * k + 0.008, 100 + 0.05 * k + 0.005)
        assert sight.look({"traces": shown}) == ["traces"]
        assert sight.look({"traces": shown}) == []
    found = sight.figures(100.0)["traces"]
    assert found["n"] == 4
    assert found["not_looked_at"] == 0
    assert found["rate_hz"] == pytest.approx(20.0)
    assert found["newest"]["p50_ms"] == pytest.approx(8.0)
    assert found["oldest"]["max_ms"] == pytest.approx(57.0)
    assert found["since_arrival"]["p99_ms"] == pytest.approx(3.0)
    assert sight.figures(100.0, since=100.21) == {}


def test_what_was_not_looked_at_is_counted_and_makes_no_ages():
    sight = Sight()
    for k in (1, 2, 5):
        sight.look({"traces": snapshot(k, 50 * k, 0.05 * k, coverage=1 - k / 10)})
    found = sight.figures(0.0)["traces"]
    assert found["not_looked_at"] == 2
    assert found["oldest"]["max_ms"] == pytest.approx(49.0)
    assert found["least_coverage"] == pytest.approx(0.5)


def test_what_says_nothing_of_samples_is_left_out():
    sight = Sight()
    assert sight.look({"beat": Snapshot("beat", 1, 0.0, {"progress": 1.0})}) == []
    assert sight.figures(0.0) == {}


def test_every_sample_is_one_in_its_place_or_in_a_gap_that_is_told():
    good = {"ok": True, "samples": 90, "in_gaps": 10, "expected": 100, "in_a_wrong_place": 0,
            "unexplained": 0}  # fmt: skip
    assert every_sample(good)
    assert not every_sample({**good, "samples": 89})
    assert not every_sample({**good, "in_a_wrong_place": 1})
    assert not every_sample({**good, "ok": False})


def test_a_reader_is_weighed_from_outside():
    reader = Reader("ours", "us", writes=True)
    reader.pid = os.getpid()
    reader.weigh()
    for _ in range(2):
        until = time.process_time() + 0.05
        while time.process_time() < until:
            pass
        reader.weigh()
    row = reader.row()
    assert row["core"] > 0.05
    assert row["own_bytes"]["last"] > 1e6
    assert len({peer.name for peer in PEERS}) == len(PEERS)


def test_the_first_look_is_no_news():
    begun = time.monotonic() - 1.0
    ages = ages_of(iter([499, 499, None, 999, *[999] * 1000]).__next__, begun, 0.05)
    assert len(ages) == 1
    assert 0.0 <= ages[0] < 0.5
    assert percentiles(ages)["max_ms"] == pytest.approx(1e3 * ages[0])
