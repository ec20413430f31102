from __future__ import annotations

import numpy as np
import pytest

from brainforge.acquisition.counter_channel import CounterChannel
from brainforge.errors import InputError
from brainforge.info import Channel, Info

INFO = Info(1000.0, (Channel("M0", "mag"), Channel("COUNTER", "misc")))


def channel() -> CounterChannel:
    return CounterChannel(INFO, "COUNTER")


def data(values: object, dtype: str = "float32") -> np.ndarray:
    column = np.asarray(values).astype(dtype)
    return np.stack([np.zeros_like(column), column], axis=1)


@pytest.mark.parametrize("dtype", ["int16", "int32", "float32", "float64"])
def test_values_of_any_type_are_whole_numbers(dtype: str) -> None:
    counters = channel().read(data(np.arange(70, 80), dtype))
    assert counters.dtype == np.int64
    assert counters.tolist() == list(range(70, 80))


def test_only_a_type_that_is_full_tells_its_width() -> None:
    assert [channel().bits(t) for t in ("int16", "int32", "float32", "float64")] == [
        16,
        None,
        None,
        None,
    ]


def test_jumps_and_wraps_are_left_as_they_are() -> None:
    one = channel()
    one.read(data(np.arange(10)))
    values = [250, 251, 254, 255, 0, 1, 5]
    assert one.read(data(values)).tolist() == values
    assert one.troubles() == []


@pytest.mark.parametrize("steps", [0, 2, -1])
def test_a_channel_that_does_not_count_samples_is_refused(steps: int) -> None:
    expected = f"COUNTER: expected values that go up by 1 each sample, got steps of {steps}"
    with pytest.raises(InputError, match=expected):
        channel().read(data(1000 + steps * np.arange(50)))


@pytest.mark.parametrize("wrong", [np.nan, np.inf, 9e5, -3.0])
@pytest.mark.parametrize("at", [1, 20, 48])
def test_a_single_value_that_is_none_follows_from_its_neighbours(wrong: float, at: int) -> None:
    values = np.arange(100.0, 150.0)
    values[at] = wrong
    one = channel()
    assert one.read(data(values)).tolist() == list(range(100, 150))
    ((cause, detail),) = one.troubles()
    assert cause == "values of the counter channel that are none; taken from their neighbours"
    assert detail == {"channel": "COUNTER", "samples": 1}
    assert one.troubles() == []


def test_nan_at_the_edges_and_everywhere_is_filled() -> None:
    one = channel()
    values = np.arange(100.0, 110.0)
    values[[0, 1, 9]] = np.nan
    assert one.read(data(values)).tolist() == list(range(100, 110))
    assert one.read(data(np.full(5, np.nan))).tolist() == list(range(110, 115))


def test_beyond_what_float32_can_count_it_goes_on() -> None:
    one = channel()
    first = 2**24 - 30
    got = np.concatenate([
        one.read(data(np.arange(first + 10 * k, first + 10 * k + 10))) for k in range(20)
    ])  # fmt: skip
    assert got.tolist() == list(range(first, first + 200))
    ((cause, _),) = one.troubles()
    assert cause.startswith("float32 cannot count further one by one")
    # a loss beyond still shows
    lost = one.read(data(np.arange(first + 250, first + 260)))
    assert abs(int(lost[0]) - (first + 250)) <= 1
