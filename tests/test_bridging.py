"""What is put in the place of samples that must not be believed."""

from __future__ import annotations

import numpy as np
import pytest

from brainforge.block import Cause, RawBlock
from brainforge.bridging import bridge, non_finite_masks, reflect, trailing_run
from brainforge.info import Channel, Info
from tests.reference.fir import odd_extend


def test_short_runs_become_lines_and_long_ones_are_held():
    x = np.arange(0, 40, 2.0)[None].copy()
    bad = np.zeros(x.shape, bool)
    bad[0, 3:6] = True
    bad[0, 10:18] = True
    want = x.copy()
    want[0, 10:14] = 18.0
    want[0, 14:18] = 18 + 18 * np.arange(1, 5) / 5
    x[bad] = 1e9
    bridge(x, bad, None, 4)
    np.testing.assert_allclose(x, want)


def test_ends_hold_the_neighbour_there_is():
    bad = np.array([[1, 0, 1], [1, 1, 1], [1, 0, 0]], bool)
    x = np.array([[9, 5, 9], [9, 9, 9], [9, 4, 2]], np.int16)
    bridge(x, bad, None, 4)
    assert x.tolist() == [[5, 5, 5], [0, 0, 0], [4, 4, 2]]
    x = np.array([[9, 5, 9], [9, 9, 9], [9, 4, 2]], np.int16)
    bridge(x, bad, np.array([1, 7, 1], np.int16), 4)
    assert x.tolist() == [[3, 5, 5], [7, 7, 7], [2, 4, 2]]


@pytest.mark.parametrize(
    "rows, longest, want",
    [
        (["1111", "1111"], 3, 0),
        (["1100", "1110"], 3, 2),
        (["1000", "1110"], 2, 1),
        (["0000", "1111"], 3, 0),
        (["0000", "1111"], 4, 4),
        (["", ""], 3, 0),
    ],
)
def test_trailing_runs_that_may_yet_be_short(rows, longest, want):
    good = np.array([[c == "1" for c in row] for row in rows], bool).reshape(2, -1)
    assert trailing_run(~good, longest) == want


@pytest.mark.parametrize("n, length", [(3, 10), (9, 10), (10, 10), (25, 10), (4, 1), (0, 5)])
def test_reflection_equals_the_reference(n, length):
    x = np.random.default_rng(0).standard_normal((2, length))
    want = odd_extend(x, n)[:, n + length :]
    np.testing.assert_array_equal(reflect(x, n), want)


def test_non_finite_samples_are_found_in_the_rows_asked_for():
    info = Info(100.0, tuple(Channel(n, "mag") for n in "ABC"))
    data = np.ones((3, 10), np.float32)
    data[0, 2:4] = np.nan
    data[1, 9] = -np.inf
    data[2, :] = np.nan
    masks = non_finite_masks(RawBlock(data, info, 100), np.array([0, 1]))
    assert [(m.channels, m.start, m.stop, m.cause) for m in masks] == [
        (("A",), 102, 104, Cause.NON_FINITE),
        (("B",), 109, 110, Cause.NON_FINITE),
    ]
    assert non_finite_masks(RawBlock(data.astype(np.float64), info, 0), np.array([], int)) == ()
    assert non_finite_masks(RawBlock(np.ones((3, 4), np.int16), info, 0), np.arange(3)) == ()
