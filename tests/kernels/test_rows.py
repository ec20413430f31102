"""Rows of an array: a view where they are neighbours, a copy where not."""

from __future__ import annotations

import numpy as np
import pytest

from brainforge.kernels.rows import compact, take_rows


@pytest.mark.parametrize("rows", [[], [2], [0, 1, 2], [1, 2, 3], [3, 2], [0, 2, 3]])
def test_equals_indexing(rows):
    x = np.arange(20.0).reshape(4, 5)
    got = take_rows(x, compact(rows))
    np.testing.assert_array_equal(got, x[np.array(rows, dtype=int)])
    neighbours = rows and rows == list(range(rows[0], rows[0] + len(rows)))
    assert np.shares_memory(got, x) == bool(neighbours)
