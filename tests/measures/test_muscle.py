"""Muscle bursts are found where they were planted, for any cutting, and masks keep out."""

from __future__ import annotations

import numpy as np
import pytest

from brainforge.backend import Backend
from brainforge.block import Cause, Mask, RawBlock
from brainforge.info import Channel, Info
from brainforge.measures.muscle import MuscleMeasure

SFREQ, N = 1000.0, 30_000
INFO = Info(SFREQ, tuple(Channel(f"M{i}", "mag", cal=1e-15) for i in range(12)))
BURSTS = ((8_000, 9_000), (20_500, 21_200))


@pytest.fixture(scope="module")
def data() -> np.ndarray:
    seed = 4
    print("seed", seed)
    rng = np.random.default_rng(seed)
    x = 300 * rng.standard_normal((12, N))
    for start, stop in BURSTS:
        t = np.arange(stop - start) / SFREQ
        x[:6, start:stop] += 900 * np.sin(2 * np.pi * 125 * t + rng.uniform(0, 6, (6, 1)))
    return np.round(x + 5000).astype(np.int16)


def _run(data: np.ndarray, cuts: list[int], masks: tuple[Mask, ...] = ()) -> MuscleMeasure:
    measure = MuscleMeasure(INFO, Backend())
    for a, b in zip([0, *cuts], [*cuts, N], strict=True):
        measure.update(RawBlock(data[:, a:b], INFO, a, masks))
    return measure


def test_the_bursts_are_found_and_nothing_else(data: np.ndarray) -> None:
    found = _run(data, []).result()
    assert len(found) == 2
    for interval, (start, stop) in zip(found, BURSTS, strict=True):
        assert abs(interval.start - start / SFREQ) <= 0.2
        assert abs(interval.stop - stop / SFREQ) <= 0.2
        assert interval.cause == "muscle"


@pytest.mark.parametrize("cuts", [[10_000, 20_000], [7, 130, 8_500, 8_600, 25_001]])
def test_any_cutting_gives_the_same_windows(data: np.ndarray, cuts: list[int]) -> None:
    whole, cut = _run(data, []), _run(data, cuts)
    np.testing.assert_array_equal(whole.score()[0], cut.score()[0])
    np.testing.assert_allclose(whole.score()[1], cut.score()[1], rtol=1e-4, atol=1e-4)


def test_a_masked_burst_is_not_judged(data: np.ndarray) -> None:
    mask = Mask(None, 7_900, 9_100, Cause.RAILED)
    found = _run(data, [], (mask,)).result()
    assert [round(i.start) for i in found] == [20]


def test_a_checkpoint_continues(data: np.ndarray) -> None:
    first = MuscleMeasure(INFO, Backend())
    first.update(RawBlock(data[:, :15_000], INFO, 0))
    second = MuscleMeasure(INFO, Backend())
    second.restore(first.state())
    second.update(RawBlock(data[:, 15_000:], INFO, 15_000))
    np.testing.assert_array_equal(second.score()[1], _run(data, [15_000]).score()[1])


def test_it_abstains_where_the_band_does_not_fit(data: np.ndarray) -> None:
    info = Info(250.0, INFO.channels)
    measure = MuscleMeasure(info, Backend())
    measure.update(RawBlock(data[:, :5000], info, 0))
    assert measure.result() == ()
