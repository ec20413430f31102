"""Raw quality: masks for railed and non-finite stretches, any merge order, checkpoints."""

from __future__ import annotations

import numpy as np
import pytest

from brainforge.backend import Backend
from brainforge.block import Cause, Mask, RawBlock
from brainforge.errors import InputError
from brainforge.info import Channel, Info
from brainforge.measures.raw_quality import RawQualityMeasure

INFO = Info(
    1000.0,
    (
        Channel("A", "mag", rails=(-1000, 1000)),
        Channel("STI", "stim"),
        Channel("B", "mag"),
        Channel("C", "grad"),
    ),
)


def block(start: int = 5000, dtype: str = "float64", masks: tuple[Mask, ...] = ()) -> RawBlock:
    rng = np.random.default_rng(start)
    data = rng.standard_normal((4, 2000)) * 50
    data[0, 100:110] = 1000
    data[0, 113:115] = -1000
    data[0, 500] = 1000
    data[2] = np.clip(data[2], -100, 100)
    data[2, 700:720] = 100
    if dtype == "float64":
        data[3, 20:23] = np.nan
        data[3, 25] = np.inf
    return RawBlock(np.round(data).astype(dtype), INFO, start, masks)


def measure() -> RawQualityMeasure:
    return RawQualityMeasure(INFO, Backend(n_threads=2))


def test_masks():
    masks = measure().judge(block())
    known = [(m.start, m.stop) for m in masks if m.channels == ("A",)]
    assert known == [(5100, 5115), (5500, 5501)]
    assert {m.cause for m in masks if m.channels == ("A",)} == {Cause.RAILED}
    lost = [m for m in masks if m.channels == ("C",)]
    assert lost == [Mask(("C",), 5020, 5026, Cause.NON_FINITE)]
    clipped = [(m.start, m.stop) for m in masks if m.channels == ("B",)]
    assert any(a <= 5700 and b >= 5720 for a, b in clipped)
    assert not any(m.channels == ("STI",) for m in masks)
    assert measure().rail_masks(block()) == masks


@pytest.mark.parametrize("dtype", ["float64", "int16"])
def test_a_quick_look_finds_the_same_masks_in_every_short_block(dtype):
    whole, found = block(dtype=dtype), 0
    for at in range(0, 2000, 50):
        short = RawBlock(whole.data[:, at : at + 50], INFO, whole.start + at)
        m = measure()
        masks = m.quick_masks(short, *m.extremes(short))
        assert masks == m.rail_masks(short)
        found += len(masks)
    assert found >= 3


def test_result_has_signal_channels_only_and_counts():
    m = measure()
    m.update(block())
    result = m.result()
    assert result.names == ("A", "B", "C")
    assert result.statistics.railed[0] == 13
    assert result.statistics.non_finite.tolist() == [0, 0, 4]
    assert result.share("non_finite")[2] == pytest.approx(4 / 2000)


@pytest.mark.parametrize("dtype", ["int16", "int32", "float32"])
def test_masked_samples_are_not_looked_at(dtype):
    hidden = (
        Mask(("A",), 5100, 5600, Cause.GAP),
        Mask(None, 4000, 5010, Cause.GAP),
        Mask(None, 6990, 9000, Cause.GAP),
    )
    m = measure()
    assert not [x for x in m.judge(block(5000, dtype, hidden)) if x.channels == ("A",)]
    stats = m.result().statistics
    assert stats.n.tolist() == [2000 - 520, 1980, 1980]
    assert stats.highest[0] < 1000


def test_merge_and_checkpoint():
    one, other, third = measure(), measure(), measure()
    one.update(block(0))
    one.update(block(2000))
    other.update(block(2000))
    third.update(block(0))
    other.merge(third)
    again = measure()
    again.restore(one.state())
    for name, value in one.state().items():
        np.testing.assert_allclose(other.state()[name], value)
        np.testing.assert_array_equal(again.state()[name], value)


def test_other_channels_are_refused():
    with pytest.raises(InputError, match="other names"):
        measure().update(RawBlock(np.zeros((2, 5)), INFO.pick(("A", "B")), 0))


def test_a_channel_that_is_not_a_number_at_all():
    """In a short block it has no extremes at which it could be railed."""
    data = block().data[:, :50].copy()
    data[2:] = np.nan
    m, short = measure(), RawBlock(data, INFO, 0)
    masks = m.quick_masks(short, *m.extremes(short))
    assert [(k.channels, k.start, k.stop, k.cause) for k in masks] == [
        (("B",), 0, 50, Cause.NON_FINITE),
        (("C",), 0, 50, Cause.NON_FINITE),
    ]
