"""The Gram matrix equals the plain float64 one and ignores masked samples."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainforge.errors import KernelInputError
from brainforge.kernels.gram import Gram, gram, gram_upper, pair_counts
from brainforge.kernels.triangle import full, n_pairs, positions
from tests.reference.gram import gram_reference


@settings(derandomize=True, max_examples=60, deadline=None)
@given(
    n=st.integers(0, 9),
    n_samples=st.integers(0, 300),
    tile=st.sampled_from([7, 64, 16384]),
    share=st.sampled_from([0.0, 0.2, 1.0]),
    remove_mean=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_equals_reference(n, n_samples, tile, share, remove_mean, seed):
    rng = np.random.default_rng(seed)
    data = (rng.standard_normal((n, n_samples)) + 0.5).astype(np.float32)
    good = rng.random(data.shape) >= share
    data[~good] = np.nan
    got = gram(data, good, remove_mean=remove_mean, tile=tile)
    sums, counts = gram_reference(data, good, remove_mean=remove_mean)
    np.testing.assert_array_equal(got.counts, counts)
    np.testing.assert_allclose(got.sums, sums, atol=1e-5 * max(n_samples, 1))


def test_non_contiguous_input_and_precision():
    rng = np.random.default_rng(1)
    data = rng.standard_normal((40000, 12)).astype(np.float32)
    got = gram(data.T[::2])
    sums, _ = gram_reference(data.T[::2])
    scale = np.sqrt(np.outer(np.diag(sums), np.diag(sums)))
    assert np.max(np.abs(got.sums - sums) / scale) < 1e-6
    np.testing.assert_array_equal(got.sums, got.sums.T)


@settings(derandomize=True, max_examples=40, deadline=None)
@given(
    n=st.integers(0, 9),
    n_samples=st.integers(0, 100),
    share=st.sampled_from([0.0, 0.2, 1.0]),
    seed=st.integers(0, 99),
)
def test_upper_triangle_with_the_masks_of_a_few_rows(n, n_samples, share, seed):
    rng = np.random.default_rng(seed)
    data = rng.standard_normal((n, n_samples)).astype(np.float32)
    rows = np.flatnonzero(rng.random(n) < 0.5)
    good = np.ones(data.shape, bool)
    good[rows] = rng.random((len(rows), n_samples)) >= share
    data[~good] = np.nan
    sums, counts = gram_reference(data, good)
    packed = gram_upper(data, good[rows], rows, tile=64)
    assert packed.shape == (n_pairs(n),)
    np.testing.assert_allclose(full(packed, n), sums, atol=1e-5 * max(n_samples, 1))
    np.testing.assert_array_equal(full(pair_counts(good[rows], rows, n), n), counts)
    np.testing.assert_array_equal(packed, full(packed, n).ravel()[positions(n)])
    np.testing.assert_array_equal(packed, gram_upper(data, good, tile=64))


def test_merge_of_parts_is_the_whole():
    rng = np.random.default_rng(2)
    data = rng.standard_normal((5, 1000)).astype(np.float32)
    good = rng.random(data.shape) > 0.1
    whole = gram(data, good)
    parts = [gram(data[:, a:b], good[:, a:b]) for a, b in ((700, 1000), (0, 10), (10, 700))]
    merged = parts[0].merge(parts[1]).merge(parts[2])
    np.testing.assert_allclose(merged.sums, whole.sums, rtol=1e-6, atol=1e-4)
    np.testing.assert_array_equal(merged.counts, whole.counts)


def test_mean_products():
    g = Gram(np.array([[4.0, 2], [2, 9]]), np.array([[2.0, 0], [0, 3]]))
    np.testing.assert_array_equal(g.mean(), [[2, 0], [0, 3]])


@pytest.mark.parametrize(
    ("data", "good", "text"),
    [
        (np.zeros((2, 3)), None, "float32"),
        (np.zeros(3, np.float32), None, "channel, sample"),
        (np.zeros((2, 3), np.float32), np.ones((2, 4), bool), "shape"),
    ],
)
def test_bad_input(data, good, text):
    with pytest.raises(KernelInputError, match=text):
        gram(data, good)


def test_bad_masks_and_triangles():
    x = np.zeros((2, 3), np.float32)
    with pytest.raises(KernelInputError, match="1 rows of 2 channels"):
        gram_upper(x, np.ones((2, 3), bool), np.array([0]))
    with pytest.raises(KernelInputError, match="good"):
        gram_upper(x, np.ones((1, 3), bool), np.array([2]))
    with pytest.raises(KernelInputError, match="6 pairs"):
        full(np.zeros(5), 3)


def test_merge_refuses_other_shapes():
    with pytest.raises(KernelInputError, match="shape"):
        Gram(np.eye(2), np.eye(2)).merge(Gram(np.eye(3), np.eye(3)))
