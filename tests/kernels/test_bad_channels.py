"""Figures of bad channels: equal to plain definitions, scikit-learn's and MNE's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainforge.errors import KernelInputError
from brainforge.kernels.bad_channels import (
    balanced_covariance,
    gain_courses,
    gain_drift,
    lof_scores,
    prediction,
    robust_z,
    strongest_correlation,
)
from tests.reference.bad_channels import gains_reference, lof_reference, prediction_reference

SHAPES = {"n": st.integers(1, 12), "seed": st.integers(0, 2**31)}


def mixed(rng: np.random.Generator, n: int, n_samples: int) -> np.ndarray:
    common = rng.standard_normal((3, n_samples))
    return rng.standard_normal((n, 3)) @ common + 0.5 * rng.standard_normal((n, n_samples))


@settings(derandomize=True, max_examples=40, deadline=None)
@given(ridge=st.sampled_from([1e-3, 0.1]), **SHAPES)
def test_prediction_equals_reference(n, seed, ridge):
    x = mixed(np.random.default_rng(seed), n, 80)
    weights, unexplained = prediction(x @ x.T / 80, ridge)
    want, left = prediction_reference(x, ridge)
    np.testing.assert_allclose(weights, want, atol=1e-9)
    np.testing.assert_allclose(unexplained, left, atol=1e-9)


@settings(derandomize=True, max_examples=40, deadline=None)
@given(k=st.integers(1, 20), **SHAPES)
def test_lof_equals_reference(n, seed, k):
    x = mixed(np.random.default_rng(seed), n + 1, 50)
    want = lof_reference(x, min(k, n))
    np.testing.assert_allclose(lof_scores(x @ x.T, k), want, rtol=1e-9)


def test_lof_equals_scikit_learn_in_any_unit():
    neighbors = pytest.importorskip("sklearn.neighbors")
    x = mixed(np.random.default_rng(3), 60, 400)
    for scale in (1.0, 1e-12):
        model = neighbors.LocalOutlierFactor(n_neighbors=20).fit(scale * x)
        got = lof_scores(scale**2 * (x @ x.T), 20, epsilon=1e-10)
        np.testing.assert_allclose(got, -model.negative_outlier_factor_, rtol=1e-6)
    np.testing.assert_allclose(lof_scores(1e-24 * x @ x.T), lof_scores(x @ x.T), rtol=1e-9)


@pytest.mark.shared_data
@pytest.mark.parametrize("kind", ["mag", "grad"])
def test_lof_equals_mne_in_tesla(shared_data, kind):
    import mne

    path = shared_data / "megin306_sample_int16" / "test_raw.fif"
    raw = mne.io.read_raw_fif(path, verbose="error").pick(kind).crop(0, 5).load_data()
    _, want = mne.preprocessing.find_bad_channels_lof(
        raw, picks=kind, return_scores=True, verbose="error"
    )
    x = raw.get_data()
    got = lof_scores(x @ x.T, 20, epsilon=1e-10)
    np.testing.assert_allclose(got, np.abs(want), rtol=1e-6)


def test_identical_and_single_channels_are_no_outliers():
    np.testing.assert_allclose(lof_scores(np.ones((5, 5))), 1.0)
    np.testing.assert_array_equal(lof_scores(np.ones((1, 1))), 1.0)
    np.testing.assert_array_equal(strongest_correlation(np.ones((1, 1))), 0.0)


def test_strongest_correlation():
    c = np.array([[4.0, -2, 0], [-2, 4, 1], [0, 1, 1]])
    np.testing.assert_allclose(strongest_correlation(c, 1), [0.5, 0.5, 0.5])
    np.testing.assert_allclose(strongest_correlation(c, 5), [0.25, 0.5, 0.25])


def test_robust_z():
    values = np.r_[np.random.default_rng(0).standard_normal(1001), 50.0]
    z = robust_z(values)
    assert np.std(z[:-1]) == pytest.approx(1, rel=0.1)
    assert z[-1] > 40
    np.testing.assert_array_equal(robust_z(np.ones(4)), 0)
    assert robust_z(np.zeros(0)).shape == (0,)


@settings(derandomize=True, max_examples=20, deadline=None)
@given(n=st.integers(2, 7), seed=st.integers(0, 2**31))
def test_gains_equal_regression(n, seed):
    rng = np.random.default_rng(seed)
    parts = [mixed(rng, n, 60) for _ in range(5)]
    chunks = np.array([p @ p.T / 60 for p in parts])
    weights, _ = prediction(chunks.mean(axis=0))
    want = gains_reference(parts, weights)
    got = gain_courses(chunks.astype(np.float32), weights)
    np.testing.assert_allclose(got, want / np.median(want, axis=0), rtol=2e-3, atol=2e-3)


def test_a_planted_drift_is_measured_and_no_other():
    rng = np.random.default_rng(4)
    n, n_chunks, size = 40, 30, 1000
    mixing = rng.standard_normal((n, 6))
    drift = np.linspace(1, 0.8, n_chunks)
    chunks = []
    for c in range(n_chunks):
        # interference common to all, with a power that changes from chunk to chunk
        common = rng.standard_normal((6, size)) * np.r_[rng.uniform(1, 6), np.ones(5)][:, None]
        x = mixing @ common
        x[7] *= drift[c]
        x += 0.7 * rng.standard_normal(x.shape)
        chunks.append(x @ x.T / size)
    chunks32 = np.array(chunks, np.float32)
    weights, _ = prediction(balanced_covariance(chunks32))
    gains = gain_courses(chunks32, weights)
    found = gain_drift(gains, np.full(gains.shape, 1000.0), np.arange(n_chunks) * 10.0)
    assert found.change[7] == pytest.approx(0.2 / 0.9, abs=0.04)
    assert found.p_value[7] < 1e-6
    assert np.max(np.delete(found.change, 7)) < 0.08


def test_drift_abstains_on_few_chunks_and_ignores_those_without_samples():
    gains = np.tile(np.linspace(1, 2, 5)[:, None], (1, 2))
    few = gain_drift(gains, np.ones((5, 2)), np.arange(5.0))
    assert np.isnan(few.change).all()
    assert (few.p_value == 1).all()
    gains = np.ones((20, 1)) + 1e-3 * np.random.default_rng(0).standard_normal((20, 1))
    gains[4], gains[5] = 9.0, np.nan
    samples = np.ones((20, 1))
    samples[4] = 0
    assert gain_drift(gains, samples, np.arange(20.0)).change[0] < 0.01


def test_chunks_without_power_weigh_nothing():
    chunks = np.array([np.zeros((2, 2)), 4 * np.eye(2)], np.float32)
    np.testing.assert_array_equal(balanced_covariance(chunks), np.eye(2))
    assert balanced_covariance(np.zeros((0, 3, 3), np.float32)).shape == (3, 3)
    gains = gain_courses(chunks, np.array([[0.0, 1], [1, 0]]))
    assert np.isnan(gains[0]).all()


def test_bad_input():
    with pytest.raises(KernelInputError, match="as many rows as columns"):
        lof_scores(np.ones((2, 3)))
    with pytest.raises(KernelInputError, match="finite"):
        strongest_correlation(np.full((2, 2), np.nan))
    with pytest.raises(KernelInputError, match="positive variances"):
        prediction(np.diag([1.0, 0.0]))
    with pytest.raises(KernelInputError, match="axes"):
        gain_courses(np.ones((2, 3, 3), np.float32), np.ones((2, 2)))
    with pytest.raises(KernelInputError, match="gains"):
        gain_drift(np.ones((2, 3)), np.ones((3, 2)), np.arange(2.0))


def test_bad_parameters_are_named():
    with pytest.raises(KernelInputError, match=r"n_neighbors.*1 or more.*0"):
        lof_scores(np.eye(3), 0)
    with pytest.raises(KernelInputError, match="epsilon"):
        lof_scores(np.eye(3), epsilon=-1.0)
    with pytest.raises(KernelInputError, match="diagonal"):
        lof_scores(-np.eye(3))
    with pytest.raises(KernelInputError, match="n_best"):
        strongest_correlation(np.eye(3), 0)
    with pytest.raises(KernelInputError, match="ridge"):
        prediction(np.eye(3), -1.0)
    with pytest.raises(KernelInputError, match=r"3 independent channels.*rank 1"):
        prediction(np.ones((3, 3)), 0.0)
    with pytest.raises(KernelInputError, match=r"values.*\[1\]"):
        robust_z(np.array([1.0, np.nan]))


def test_a_flat_channel_and_a_twin_have_finite_scores():
    rng = np.random.default_rng(6)
    x = rng.standard_normal((12, 500))
    x[3], x[4] = 0.0, x[5]
    assert np.isfinite(lof_scores(x @ x.T)).all()
    assert np.isfinite(strongest_correlation(x @ x.T)).all()
