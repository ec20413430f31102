"""A lane keeps order, holds few pieces back, and lets errors surface."""

from __future__ import annotations

from threading import Event, Lock

import pytest

from brainforge.backend import Backend
from brainforge.pipeline.lane import BACKLOG, Gate, Lane


def test_calls_run_in_order_and_drain_waits_for_them() -> None:
    seen: list[int] = []
    with Lane("test") as lane:
        for i in range(20):
            lane.put(seen.append, i)
        lane.drain()
        assert seen == list(range(20))


def test_an_error_surfaces_and_nothing_behind_it_runs() -> None:
    seen: list[int] = []

    def fail() -> None:
        raise OSError("disk gone")

    with Lane("test") as lane:
        lane.put(fail)
        lane.put(seen.append, 1)
        with pytest.raises(OSError, match="disk gone"):
            lane.drain()
        lane.drain()
    assert seen == []


def test_no_more_than_the_backlog_waits() -> None:
    go, begun = Event(), Event()
    seen: list[int] = []

    def first() -> None:
        begun.set()
        assert go.wait(10)

    with Lane("test") as lane:
        lane.put(first)
        assert begun.wait(10)
        for i in range(BACKLOG - 1):
            lane.put(seen.append, i)
        assert len(lane._waiting) == BACKLOG
        go.set()
        lane.put(seen.append, 99)
        lane.drain()
    assert seen == [*range(BACKLOG - 1), 99]


def test_closing_leaves_what_has_not_begun() -> None:
    go, begun = Event(), Event()
    seen: list[int] = []

    def first() -> None:
        begun.set()
        assert go.wait(10)

    lane = Lane("test")
    lane.put(first)
    assert begun.wait(10)
    lane.put(seen.append, 1)
    lane._failed = True
    go.set()
    lane.close()
    assert seen == []


@pytest.mark.parametrize("n_threads", [1, 2, 8])
def test_a_gate_lets_no_more_work_at_a_time_than_there_are_threads(n_threads: int) -> None:
    gate, lock = Gate(Backend(n_threads=n_threads)), Lock()
    at_work, most = 0, 0

    def work() -> list[int]:
        nonlocal at_work, most
        with lock:
            at_work += gate.backend.threads
            most = max(most, at_work)
        with lock:
            at_work -= gate.backend.threads
        return [1, 2]

    passed: list[int] = []
    with Lane("first", gate) as first, Lane("second", gate) as second:
        for _ in range(50):
            first.put(work, then=lambda item: second.put(work, then=passed.append))
            with gate:
                pass
        first.drain()
        second.drain()
    assert most <= n_threads
    assert passed == [1, 2] * 100
