"""Raw statistics equal the sample-by-sample ones; clipping is told from a signal's own peaks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainforge.errors import KernelInputError
from brainforge.kernels.raw_scan import DTYPES
from brainforge.kernels.raw_statistics import (
    RawStatistics,
    intervals,
    rail_intervals,
    raw_statistics,
)
from tests.reference.raw_statistics import raw_statistics_reference

FIELDS = tuple(RawStatistics.__dataclass_fields__)


def random_rows(rng, n, n_samples, dtype, scale):
    data = rng.standard_normal((n, n_samples)) * scale
    if np.dtype(dtype).kind == "i":
        return np.round(data).astype(dtype)
    data[rng.random(data.shape) < 0.02] = np.nan
    data[rng.random(data.shape) < 0.01] = np.inf
    return np.round(data).astype(dtype)


@settings(derandomize=True, max_examples=80, deadline=None)
@given(
    n=st.integers(0, 5),
    n_samples=st.sampled_from([0, 1, 2, 17, 500]),
    dtype=st.sampled_from(DTYPES),
    scale=st.sampled_from([0.3, 2.0, 3000.0]),
    known=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_equals_reference(n, n_samples, dtype, scale, known, seed):
    data = random_rows(np.random.default_rng(seed), n, n_samples, dtype, scale)
    rails = np.full((n, 2), [-2 * scale, 2 * scale]) if known else None
    got = raw_statistics(data, rails, n_threads=1 + seed % 2)
    for i in range(n):
        want = raw_statistics_reference(data[i], rails[i] if known else (np.nan, np.nan))
        for name in FIELDS:
            if want[name] is not None:
                np.testing.assert_allclose(getattr(got, name)[i], want[name], rtol=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
def test_full_range_and_long_rows_lose_nothing(dtype):
    rng = np.random.default_rng(5)
    top = 32767 if dtype == "int16" else 2_000_000
    data = rng.integers(-top, top, (2, 20_001)).astype(dtype)
    data[1, 300:5000] = 17
    got = raw_statistics(data)
    wide = data.astype(np.float64)
    np.testing.assert_array_equal(got.total, wide.sum(axis=1))
    np.testing.assert_allclose(got.diff_squares, (np.diff(wide) ** 2).sum(axis=1), rtol=1e-6)
    assert got.flat_run[1] == 4700


def test_stretches_leave_out_what_they_do_not_name():
    rng = np.random.default_rng(6)
    data = rng.integers(-9, 9, (3, 100)).astype(np.int16)
    data[2, 40:60] = 30000
    got = raw_statistics(data, stretches=np.array([[2, 60, 100], [0, 0, 100], [2, 0, 40]]))
    kept = np.r_[data[2, :40], data[2, 60:]]
    assert (got.n[2], got.highest[2], got.total[2]) == (80, kept.max(), kept.sum())
    assert got.n_diff[2] == 78
    assert got.n[1] == 0
    assert np.isnan(got.mean()[1])


def test_merge_in_any_order_and_empty_is_neutral():
    rng = np.random.default_rng(7)
    data = rng.integers(-99, 99, (4, 300)).astype(np.int32)
    parts = [raw_statistics(data[:, a:b]) for a, b in ((0, 50), (50, 170), (170, 300))]
    one = parts[0].merge(parts[1]).merge(parts[2])
    other = RawStatistics.empty(4).merge(parts[2]).merge(parts[0]).merge(parts[1])
    for name in FIELDS:
        np.testing.assert_allclose(getattr(one, name), getattr(other, name))
    np.testing.assert_array_equal(one.lowest, data.min(axis=1))


def test_clipping_is_found_without_knowing_the_rails_and_peaks_are_not_clipping():
    rng = np.random.default_rng(8)
    slow = np.cumsum(rng.standard_normal((40, 12_000)), axis=1)
    slow = slow / slow.std(axis=1, keepdims=True) * 200 + rng.standard_normal(slow.shape)
    for step in (1.0, 20.0):
        counts = np.round(slow / step).astype(np.int16)
        assert raw_statistics(counts).railed.tolist() == [0] * 40
    limit = np.percentile(slow, 98, axis=1)
    clipped = np.round(np.minimum(slow, limit[:, None])).astype(np.int16)
    assert (raw_statistics(clipped).railed > 100).all()
    flat = np.full((1, 500), 7, np.int16)
    assert raw_statistics(flat).railed[0] == 0


def test_intervals():
    flags = np.array([1, 1, 0, 0, 1, 0, 0, 0, 1], bool)
    assert intervals(flags).tolist() == [[0, 2], [4, 5], [8, 9]]
    assert intervals(flags, join=2).tolist() == [[0, 5], [8, 9]]
    assert intervals(np.zeros(0, bool)).shape == (0, 2)
    row = np.array([0, 9, 0, 9, 9, 9, -9, -9, -9])
    assert rail_intervals(row, -9, 9, known=False).tolist() == [[3, 9]]
    assert rail_intervals(row, -9, 9, known=True).tolist() == [[1, 2], [3, 9]]


@pytest.mark.parametrize(
    ("data", "kwargs", "text"),
    [
        (np.zeros((2, 3), np.int8), {}, "int16"),
        (np.zeros((2, 3), ">i2"), {}, "native"),
        (np.zeros(3, np.int16), {}, "channels x samples"),
        (np.zeros((2, 3), np.int16), {"rails": np.zeros((3, 2))}, "rails"),
        (np.zeros((2, 3), np.int16), {"stretches": np.array([[0, 0, 4]])}, "stretches"),
    ],
)
def test_bad_input(data, kwargs, text):
    with pytest.raises(KernelInputError, match=text):
        raw_statistics(data, **kwargs)
