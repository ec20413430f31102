"""Signal-space projection: spans equal MNE's, projectors remove them and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainforge.errors import KernelInputError
from brainforge.kernels.ssp import ssp_projector, ssp_vectors


@settings(derandomize=True, max_examples=40, deadline=None)
@given(n=st.integers(1, 12), k=st.integers(0, 4), seed=st.integers(0, 2**31))
def test_projector_equals_definition(n, k, seed):
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((k, n))
    matrix, n_removed = ssp_projector(vectors, tolerance=1e-10)
    u, s, _ = np.linalg.svd(vectors.T, full_matrices=False)
    u = u[:, s > 1e-9]
    assert n_removed == u.shape[1] == min(n, k)
    np.testing.assert_allclose(matrix, np.eye(n) - u @ u.T, atol=1e-8)


def test_one_topography_given_twice_costs_one_dimension_and_bads_reach_no_other():
    v = np.random.default_rng(0).standard_normal((2, 10))
    good = np.arange(10) != 4
    matrix, n_removed = ssp_projector(np.vstack([v, v[:1], 0 * v[:1]]), good)
    assert n_removed == 2
    assert not matrix[good, 4].any()
    np.testing.assert_allclose(matrix @ v.T, 0, atol=1e-12)


def test_vectors_equal_mne():
    import mne

    rng = np.random.default_rng(1)
    n = 12
    x = rng.standard_normal((n, 3)) @ rng.standard_normal((3, 4000)) * 1e-12
    x += 1e-13 * rng.standard_normal(x.shape)
    info = mne.create_info(n, 250.0, "mag")
    raw = mne.io.RawArray(x, info, verbose="error")
    events = np.array([[s, 0, 1] for s in range(300, 3700, 200)])
    epochs = mne.Epochs(
        raw, events, tmin=-0.1, tmax=0.3, baseline=None, preload=True, verbose="error"
    )
    evoked = epochs.average()
    cases = (
        (mne.compute_proj_evoked(evoked, 0, 2, 0, verbose="error"), evoked.data @ evoked.data.T),
        (
            mne.compute_proj_epochs(epochs, 0, 2, 0, verbose="error"),
            sum(e @ e.T for e in epochs.get_data()),
        ),
    )
    for projs, products in cases:
        vectors, explained = ssp_vectors(products, 2)
        want = np.concatenate([p["data"]["data"] for p in projs])
        np.testing.assert_allclose(np.abs(np.sum(vectors * want, axis=1)), 1, atol=1e-6)
        np.testing.assert_allclose(ssp_projector(vectors)[0], ssp_projector(want)[0], atol=1e-6)
        assert (np.diff(explained) <= 0).all()
        assert 0 < explained.sum() <= 1


def test_a_planted_topography_is_removed_by_its_event_locked_average():
    rng = np.random.default_rng(2)
    topography = rng.standard_normal(20)
    average = np.outer(topography, np.hanning(60)) + 0.01 * rng.standard_normal((20, 60))
    vectors, explained = ssp_vectors(average @ average.T, 1)
    assert explained[0] > 0.99
    assert np.linalg.norm(ssp_projector(vectors)[0] @ topography) < 0.02 * np.linalg.norm(
        topography
    )


def test_bad_input():
    with pytest.raises(KernelInputError, match="component, channel"):
        ssp_projector(np.zeros(3))
    with pytest.raises(KernelInputError, match="NaN"):
        ssp_projector(np.full((1, 3), np.nan))
    with pytest.raises(KernelInputError, match="rows as columns"):
        ssp_vectors(np.zeros((2, 3)), 1)
    with pytest.raises(KernelInputError, match="n_components"):
        ssp_vectors(np.eye(2), 3)
    assert ssp_vectors(np.eye(2), 0)[0].shape == (0, 2)
