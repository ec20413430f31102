"""Reading ahead keeps order, ends, and raises the reader's error at its place."""

from __future__ import annotations

import pytest

from brainforge.pipeline.prefetch import Prefetch


def test_items_come_in_order_and_end() -> None:
    assert list(Prefetch(range(1, 8))) == list(range(1, 8))
    assert list(Prefetch([])) == []


def test_an_error_of_the_reader_surfaces_after_the_items_before_it() -> None:
    def items():
        yield 1
        raise OSError("disk gone")

    ahead = iter(Prefetch(items()))
    assert next(ahead) == 1
    with pytest.raises(OSError, match="disk gone"):
        next(ahead)
