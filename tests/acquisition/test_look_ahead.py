from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from brainforge.acquisition.look_ahead import Exhausted, LookAhead


def drained(ahead: LookAhead[int]) -> list[int]:
    found = []
    while True:
        try:
            item = ahead.peek()
        except Exhausted:
            return found
        if item is None:
            ahead.wait(5.0)
            continue
        found.append(item)
        ahead.drop()


def test_everything_comes_in_order_and_then_the_end() -> None:
    ahead = LookAhead(iter(range(50)), 3)
    assert drained(ahead) == list(range(50))
    with pytest.raises(Exhausted):
        ahead.peek()
    ahead.close()


def test_no_more_is_made_than_asked_for() -> None:
    made = []

    def items() -> Iterator[int]:
        for i in range(100):
            made.append(i)
            yield i

    ahead = LookAhead(items(), 4)
    while len(made) < 4:
        ahead.wait(0.01)
    ahead.wait(0.05)
    assert len(made) == 4
    ahead.close()
    assert len(made) <= 5


def test_an_error_comes_behind_the_items_before_it() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise OSError("the disk is gone")

    ahead = LookAhead(items(), 4)
    with pytest.raises(OSError, match="the disk is gone"):
        drained(ahead)
    ahead.close()


def test_a_ring_ends_a_wait_even_when_it_comes_before() -> None:
    ahead = LookAhead(iter(()), 1)
    ahead.ring()
    assert ahead.wait(60.0)
    timer = threading.Timer(0.05, ahead.ring)
    began = time.monotonic()
    timer.start()
    while not ahead.wait(60.0):
        pass
    assert time.monotonic() - began < 10.0
    timer.join()
    ahead.close()
