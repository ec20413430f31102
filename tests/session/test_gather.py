"""Pieces are joined as long as they follow each other, and none is lost."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from brainforge.block import RawBlock
from brainforge.info import Channel, Info
from brainforge.session.gather import Gather

INFO = Info(100.0, (Channel("A", "mag"), Channel("B", "mag")))


@given(
    st.lists(st.tuples(st.integers(1, 30), st.sampled_from([0, 0, 0, 5])), max_size=20),
    st.integers(1, 60),
)
def test_every_sample_once_in_order(pieces: list[tuple[int, int]], size: int) -> None:
    out: list[RawBlock] = []
    gather, at, expected = Gather(size, out.append), 0, []
    for n, gap in pieces:
        at += gap
        index = np.arange(at, at + n)
        gather.put(RawBlock(np.stack([index, -index]).astype(np.int32), INFO, at))
        expected += index.tolist()
        at += n
    gather.flush()
    gather.flush()
    assert [i for b in out for i in b.data[0].tolist()] == expected
    for block in out:
        assert block.data[0].tolist() == list(range(block.start, block.stop))
        assert np.array_equal(block.data[1], -block.data[0])
    for one, other in pairwise(out):
        assert one.data.shape[1] >= size or one.stop < other.start
