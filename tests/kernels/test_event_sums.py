from __future__ import annotations

import numpy as np
import pytest

from brainforge.errors import KernelInputError
from brainforge.kernels.event_sums import add_stretches


def some(n=5, n_samples=400, seed=0):
    return np.random.default_rng(seed).normal(size=(n, n_samples)).astype(np.float32)


def test_sums_are_those_of_the_slices():
    data, sums = some(), np.zeros((2, 2, 30))
    add_stretches(data, np.array([3, 1]), np.array([0, 100, 370]), np.array([0, 1, 0]), sums)
    assert np.array_equal(sums[1], data[[3, 1], 100:130])
    assert np.array_equal(sums[0], data[[3, 1], :30].astype(float) + data[[3, 1], 370:])


def test_same_bits_for_any_number_of_threads_layout_and_cutting():
    data, rows = some(7), np.arange(7)
    begins, groups = np.arange(0, 350, 11), np.arange(32) % 2
    one = add_stretches(data, rows, begins, groups, np.zeros((2, 7, 40)))
    two = add_stretches(
        np.asfortranarray(data), rows, begins, groups, np.zeros((2, 7, 40)), n_threads=2
    )
    parts = np.zeros((2, 7, 40))
    add_stretches(data[:, :200], rows, begins[:10], groups[:10], parts)
    add_stretches(data[:, 100:], rows, begins[10:] - 100, groups[10:], parts)
    assert np.array_equal(one, two)
    assert np.array_equal(one, parts)


def test_no_events_no_rows_and_no_lags_change_nothing():
    none = np.zeros(0, dtype=np.int64)
    sums = np.ones((2, 5, 10))
    assert np.array_equal(
        add_stretches(some(), np.arange(5), none, none, sums), np.ones((2, 5, 10))
    )
    assert add_stretches(some(), none, np.zeros(1, int), np.zeros(1, int), sums[:, :0]).size == 0


def test_bad_input_is_named():
    data, rows, at, group = some(), np.arange(5), np.array([3]), np.array([0])
    sums = np.zeros((2, 5, 10))
    with pytest.raises(KernelInputError, match="float32"):
        add_stretches(data.astype(float), rows, at, group, sums)
    with pytest.raises(KernelInputError, match=r"begins.*0 to 390.*391"):
        add_stretches(data, rows, np.array([391]), group, sums)
    with pytest.raises(KernelInputError, match=r"rows.*0 to 4"):
        add_stretches(data, rows + 1, at, group, sums)
    with pytest.raises(KernelInputError, match=r"groups.*0 to 1"):
        add_stretches(data, rows, at, group + 2, sums)
    with pytest.raises(KernelInputError, match="one for each stretch"):
        add_stretches(data, rows, at, np.array([0, 1]), sums)
    with pytest.raises(KernelInputError, match=r"sums.*5 rows"):
        add_stretches(data, rows, at, group, sums[:, :4])
