"""Counts give the rows of the channels, with what was bridged in place of what was masked."""

from __future__ import annotations

import numpy as np
import pytest

from brainforge.stages.counts import Counts


@pytest.mark.parametrize("part", [slice(3), slice(-2, None), slice(None, None, 4), slice(0, 0)])
def test_touched_channels_are_replaced_and_the_block_is_left_alone(part):
    rng = np.random.default_rng(0)
    data = rng.integers(-99, 99, (6, 10)).astype(np.int16)
    before = data.copy()
    rows, touched = np.array([5, 0, 3]), np.array([0, 2])
    patch = np.full((2, 10), 7, np.int16)
    want = data[rows]
    want[touched] = patch
    counts = Counts(data, rows, touched, patch)
    np.testing.assert_array_equal(counts.take(part), want[:, part])
    np.testing.assert_array_equal(data, before)
    assert counts.n_samples == 10


def test_whole_takes_all_rows():
    data = np.arange(12.0).reshape(3, 4)
    np.testing.assert_array_equal(Counts.whole(data).take(slice(None)), data)
