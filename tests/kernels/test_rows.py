"""Rows of an array: a view where they are neighbours, a copy where not."""

from __future__ import annotations

import numpy as np
import pytest

from brainforge.kernels.namespace import is_device
from brainforge.kernels.rows import compact, contiguous, take_rows, together
from tests.emulator.strict import put


@pytest.mark.parametrize("rows", [[], [2], [0, 1, 2], [1, 2, 3], [3, 2], [0, 2, 3]])
def test_equals_indexing(rows):
    x = np.arange(20.0).reshape(4, 5)
    got = take_rows(x, compact(rows))
    np.testing.assert_array_equal(got, x[np.array(rows, dtype=int)])
    neighbours = rows and rows == list(range(rows[0], rows[0] + len(rows)))
    assert np.shares_memory(got, x) == bool(neighbours)


def test_pieces_meet_on_the_device():
    x = np.zeros((2, 4), np.float32)
    assert all(part is x for part in together(x, x))
    assert all(is_device(part) for part in together(x, put(x), x))
    assert contiguous(x[:, 1:]).flags.c_contiguous
    there = put(x)
    assert contiguous(there) is there
