"""Covariance against the definition, NumPy, pandas and MNE."""

from __future__ import annotations

import mne
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainforge.errors import KernelInputError
from brainforge.kernels.covariance import moments
from tests.reference import covariance as reference


@settings(derandomize=True, max_examples=50, deadline=None)
@given(
    n=st.integers(0, 7),
    n_samples=st.integers(0, 200),
    cut=st.integers(0, 200),
    tile=st.sampled_from([7, 64, 16384]),
    share=st.sampled_from([0.0, 0.2, 1.0]),
    ddof=st.integers(0, 2),
    seed=st.integers(0, 2**31),
)
def test_merged_blocks_equal_the_definition(n, n_samples, cut, tile, share, ddof, seed):
    rng = np.random.default_rng(seed)
    data = rng.standard_normal((n, n_samples)) + 100 * rng.standard_normal((n, 1))
    data = data.astype(np.float32)
    good = rng.random(data.shape) >= share
    data[~good] = np.nan
    left = moments(data[:, :cut], good[:, :cut], tile=tile)
    got = left.merge(moments(data[:, cut:], good[:, cut:], tile=tile)).covariance(ddof)
    np.testing.assert_allclose(got, reference.covariance(data, good, ddof), atol=1e-4)


def test_agrees_with_numpy_pandas_and_mne():
    rng = np.random.default_rng(1)
    data = (rng.standard_normal((5, 5)) @ rng.standard_normal((5, 3000)) + 1e3).astype(np.float32)
    found = moments(data)
    wide = data.astype(np.float64)
    scale = np.sqrt(np.outer(*2 * [np.diag(np.cov(wide))]))
    assert np.abs((found.covariance() - np.cov(wide)) / scale).max() < 1e-6
    info = mne.create_info(5, 100.0, "mag")
    raw = mne.io.RawArray(wide, info, verbose=False)
    theirs = mne.compute_raw_covariance(raw, tstep=30.0, method="empirical", verbose=False)
    assert np.abs((found.covariance() - theirs.data) / scale).max() < 1e-6
    good = rng.random(data.shape) > 0.2
    pairwise = pd.DataFrame(np.where(good, wide, np.nan).T).cov().to_numpy()
    assert np.abs((moments(data, good).covariance() - pairwise) / scale).max() < 1e-6


def test_a_constant_costs_no_digits():
    rng = np.random.default_rng(2)
    plain = np.round(rng.standard_normal((3, 20000)), 2)
    far = (plain + 2.0**15 * np.arange(3)[:, None]).astype(np.float32)
    want = reference.covariance(far)
    assert np.abs(moments(far).covariance() / want - 1)[np.eye(3, dtype=bool)].max() < 1e-5


def test_bad_input():
    x = np.zeros((2, 3), np.float32)
    with pytest.raises(KernelInputError, match="float32"):
        moments(x.astype(np.float64))
    with pytest.raises(KernelInputError, match="good"):
        moments(x, np.ones((2, 4), bool))
    with pytest.raises(KernelInputError, match="other"):
        moments(x).merge(moments(x[:1]))
