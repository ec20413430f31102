"""Regrid gives the same blocks for any cutting."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainforge.block import Cause, Mask, RawBlock
from brainforge.errors import InputError
from brainforge.info import Channel, Info
from brainforge.recording import Gap, recording_from_array
from brainforge.regrid import Regrid
from brainforge.testing.stage_suite import cut

INFO = Info(100.0, (Channel("A", "mag"), Channel("B", "mag")))
MASKS = (Mask(("A",), 95, 130, Cause.RAILED), Mask(None, 300, 301, Cause.GAP))


def recording(start, gap):
    data = np.arange(2 * 700, dtype=np.int16).reshape(2, 700)
    gaps = (Gap(start + gap[0], start + sum(gap), "lost"),) if gap[1] else ()
    return recording_from_array(data, INFO, start, gaps=gaps, masks=MASKS)


def regridded(blocks, grid):
    regrid = Regrid(grid)
    return [out for block in blocks for out in regrid.process(block)] + regrid.finish()


@settings(max_examples=80, derandomize=True, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 300), min_size=1, max_size=10),
    grid=st.integers(1, 250),
    start=st.integers(0, 400),
    gap=st.tuples(st.integers(1, 600), st.integers(0, 90)),
)
def test_any_cutting_gives_the_same_blocks(sizes, grid, start, gap):
    source = recording(start, gap)
    want = regridded(cut(source, [700]), grid)
    got = regridded(cut(source, sizes), grid)
    assert [(b.start, b.stop, b.masks) for b in got] == [(b.start, b.stop, b.masks) for b in want]
    for a, b in zip(got, want, strict=True):
        np.testing.assert_array_equal(a.data, b.data)
        np.testing.assert_array_equal(a.data, source.read(a.start, a.stop).data)
    ends = {b.stop for b in got if b.stop % grid}
    assert ends <= {stop for _, stop in source.segments}
    assert sum(b.stop - b.start for b in got) == sum(b - a for a, b in source.segments)


def test_whole_cells_are_views_and_waiting_samples_are_copies():
    data = np.zeros((2, 250), np.int16)
    regrid = Regrid(100)
    first, second = regrid.process(RawBlock(data, INFO, 0))
    assert np.shares_memory(first.data, data)
    assert np.shares_memory(second.data, data)
    data[:] = 7  # a source that reuses its buffer
    (last,) = regrid.finish()
    assert (last.data == 0).all()


def test_a_checkpoint_continues():
    source = recording(30, (200, 20))
    blocks = list(cut(source, [77]))
    want = regridded(iter(blocks), 100)
    for at in range(len(blocks) + 1):
        first, second = Regrid(100), Regrid(100)
        got = [out for block in blocks[:at] for out in first.process(block)]
        second.restore(first.state(), INFO)
        got += [out for block in blocks[at:] for out in second.process(block)] + second.finish()
        assert [(b.start, b.stop, b.masks) for b in got] == [
            (b.start, b.stop, b.masks) for b in want
        ]


def test_empty_blocks_change_nothing():
    regrid = Regrid(10)
    assert regrid.process(RawBlock(np.zeros((2, 0), np.int16), INFO, 5)) == []
    assert regrid.finish() == []


def test_bad_input_is_refused():
    with pytest.raises(InputError, match="grid"):
        Regrid(0)
    regrid = Regrid(10)
    regrid.process(RawBlock(np.zeros((2, 5), np.int16), INFO, 0))
    with pytest.raises(InputError, match="in order"):
        regrid.process(RawBlock(np.zeros((2, 5), np.int16), INFO, 3))
    with pytest.raises(InputError, match="int16"):
        regrid.process(RawBlock(np.zeros((2, 5), np.int32), INFO, 5))
    with pytest.raises(InputError, match="channels"):
        regrid.process(RawBlock(np.zeros((2, 5), np.int16), INFO.pick(["B", "A"]), 5))
