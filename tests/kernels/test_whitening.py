from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainforge.errors import KernelInputError
from brainforge.kernels.whitening import estimate_rank, kind_scale, pca_whitening, whiten


def _data(n, rank, n_samples, seed):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, rank)) @ rng.normal(size=(rank, n_samples))


@settings(max_examples=25, deadline=None, derandomize=True)
@given(n=st.integers(1, 12), seed=st.integers(0, 10_000))
def test_whitened_data_have_unit_covariance(n, seed):
    x = _data(n, n, 400, seed)
    white = pca_whitening(x @ x.T / 400)
    y = white.whitener @ x
    np.testing.assert_allclose(y @ y.T / 400, np.eye(white.rank), atol=1e-6)
    np.testing.assert_allclose(white.whitener @ white.dewhitener, np.eye(white.rank), atol=1e-8)


def test_rank_of_deficient_data_also_in_float32():
    x = _data(20, 13, 5_000, 0)
    assert pca_whitening(x @ x.T / 5_000).rank == 13
    single = x.astype(np.float32)
    assert pca_whitening((single @ single.T).astype(np.float64) / 5_000).rank == 13


def test_given_rank_limits_but_does_not_invent():
    x = _data(10, 6, 1_000, 1)
    cov = x @ x.T / 1_000
    assert pca_whitening(cov, rank=4).whitener.shape == (4, 10)
    assert pca_whitening(cov, rank=9).rank == 6


def test_scaling_by_kind_makes_units_irrelevant():
    x = _data(8, 8, 2_000, 2)
    kinds = ["mag"] * 3 + ["grad"] * 5
    units = np.array([1e-15] * 3 + [1e13] * 5)[:, None]
    plain = pca_whitening(x @ x.T / 2_000, 4, kinds=kinds)
    scaled = (units * x) @ (units * x).T / 2_000
    other = pca_whitening(scaled, 4, kinds=kinds)
    np.testing.assert_allclose(plain.whitener @ x, other.whitener @ (units * x), rtol=1e-8)
    np.testing.assert_allclose(kind_scale(x @ x.T / 2_000, ["a"] * 8)[0] ** 2, (x**2).mean())


def test_components_fall_in_variance_and_have_a_fixed_sign():
    x = _data(6, 6, 900, 3)
    white = pca_whitening(x @ x.T / 900, 3)
    assert (np.diff(white.eigenvalues) <= 0).all()
    assert (white.dewhitener[np.argmax(np.abs(white.dewhitener), axis=0), range(3)] > 0).all()
    assert 0 < white.explained < 1


def test_rank_by_gap():
    assert estimate_rank(np.array([10.0, 5, 3, 1, 1e-6, 1e-7])) == 4
    assert estimate_rank(np.array([1e6, 10.0, 5, 3, 1])) == 5
    assert estimate_rank(np.zeros(3)) == 0
    assert estimate_rank(np.zeros(0)) == 0


def test_bad_input_is_named():
    with pytest.raises(KernelInputError, match="square"):
        pca_whitening(np.zeros((2, 3)))
    with pytest.raises(KernelInputError, match="square"):
        pca_whitening(np.zeros((0, 0)))
    with pytest.raises(KernelInputError, match="NaN"):
        pca_whitening(np.full((2, 2), np.nan))
    with pytest.raises(KernelInputError, match="flat"):
        pca_whitening(np.zeros((2, 2)))
    with pytest.raises(KernelInputError, match="symmetric"):
        pca_whitening(np.array([[1.0, 0.5], [0.0, 1.0]]))
    with pytest.raises(KernelInputError, match="1 to the rank, 2"):
        pca_whitening(np.eye(2), 3)
    with pytest.raises(KernelInputError, match="2 kinds"):
        pca_whitening(np.eye(2), kinds=["mag"])


def test_application_to_a_block_takes_the_means_off():
    rng = np.random.default_rng(9)
    data = rng.standard_normal((6, 6)) @ rng.standard_normal((6, 5000)) + 40
    mean = data.mean(axis=1)
    white = pca_whitening(np.cov(data, ddof=0), 4)
    got = whiten(white, data.astype(np.float32), mean)
    assert got.dtype == np.float32
    np.testing.assert_allclose(np.cov(got, ddof=0), np.eye(4), atol=1e-4)
    np.testing.assert_allclose(got.mean(axis=1), 0, atol=1e-4)
    plain = whiten(white, (data - mean[:, None]).astype(np.float32))
    np.testing.assert_allclose(plain, got, atol=1e-4)
    with pytest.raises(KernelInputError, match="5 columns"):
        whiten(white, data[:5].astype(np.float32))
    with pytest.raises(KernelInputError, match="6 numbers"):
        whiten(white, data.astype(np.float32), mean[:4])


def test_whitened_block_is_that_of_scikit_learn():
    decomposition = pytest.importorskip("sklearn.decomposition")
    rng = np.random.default_rng(10)
    data = rng.standard_normal((8, 8)) @ rng.standard_normal((8, 4000)) + 3
    theirs = decomposition.PCA(5, whiten=True).fit(data.T).transform(data.T).T
    got = whiten(pca_whitening(np.cov(data), 5), data.astype(np.float32), data.mean(axis=1))
    sign = np.sign((got * theirs).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(sign * got, theirs, atol=1e-5)
