"""Applying a matrix in tiles equals the float64 product, with any threads and any buffer."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainforge.errors import KernelInputError
from brainforge.kernels.apply import apply_low_rank, apply_matrix, low_rank
from brainforge.kernels.parallel import single_threaded_blas
from tests.reference.apply import apply_reference


@settings(derandomize=True, max_examples=40, deadline=None)
@given(
    m=st.integers(0, 7),
    n=st.integers(0, 7),
    n_samples=st.sampled_from([0, 1, 5, 2047, 2048, 2049, 5000]),
    step=st.sampled_from([1, 2]),
    seed=st.integers(0, 2**31),
)
def test_equals_reference(m, n, n_samples, step, seed):
    rng = np.random.default_rng(seed)
    data = rng.standard_normal((n, n_samples * step)).astype(np.float32)[:, ::step]
    matrix = rng.standard_normal((m, n))
    np.testing.assert_allclose(apply_matrix(matrix, data), apply_reference(matrix, data), atol=2e-5)


def test_threads_and_buffers_change_no_bit():
    rng = np.random.default_rng(0)
    data = rng.standard_normal((61, 9001)).astype(np.float32)
    matrix = rng.standard_normal((61, 61))
    out = np.empty_like(data)
    with single_threaded_blas():
        plain = apply_matrix(matrix, data)
        assert apply_matrix(matrix, data, out, n_threads=3) is out
    np.testing.assert_array_equal(out, plain)


@settings(derandomize=True, max_examples=30, deadline=None)
@given(
    n=st.integers(1, 40),
    rank=st.integers(0, 6),
    n_samples=st.sampled_from([0, 1, 4096, 4097]),
    seed=st.integers(0, 2**31),
)
def test_identity_plus_low_rank_is_found_and_applied(n, rank, n_samples, seed):
    rng = np.random.default_rng(seed)
    rank = min(rank, n)
    matrix = np.eye(n) + rng.standard_normal((n, rank)) @ rng.standard_normal((rank, n))
    found = low_rank(matrix, most=6)
    assert found is not None
    assert found.left.shape == (n, rank)
    data = rng.standard_normal((n, n_samples)).astype(np.float32)
    got = apply_low_rank(found, data, n_threads=2)
    scale = max(np.abs(matrix).max(), 1) * n
    np.testing.assert_allclose(got, apply_reference(matrix, data), atol=2e-6 * scale)


def test_a_projector_is_identity_plus_low_rank():
    """What a field correction of rank 8 gives; an error of the data's own rounding."""
    rng = np.random.default_rng(3)
    basis, _ = np.linalg.qr(rng.standard_normal((120, 8)))
    matrix = np.eye(120) - basis @ basis.T
    found = low_rank(matrix)
    assert found is not None
    assert found.right.shape == (8, 120)
    data = (1e5 * basis @ rng.standard_normal((8, 500))).astype(np.float32)
    assert np.abs(apply_low_rank(found, data)).max() < 1e-6 * np.abs(data).max()


def test_other_matrices_are_not_identity_plus_low_rank():
    rng = np.random.default_rng(4)
    assert low_rank(rng.standard_normal((60, 60))) is None
    assert low_rank(np.diag(np.r_[np.full(11, 2.0), np.ones(49)])) is None
    assert low_rank(np.diag(np.r_[np.full(10, 2.0), np.ones(50)])) is not None
    assert low_rank(np.ones((3, 4))) is None
    assert low_rank(np.ones((0, 0))) is None


def test_bad_input():
    x = np.zeros((3, 4), np.float32)
    for args, text in (
        ((np.eye(3), x.astype(np.float64)), "float32"),
        ((np.eye(2), x), "3 columns"),
        ((np.eye(3), x, np.zeros((3, 5), np.float32)), "shape"),
        ((np.eye(3), x, x), "memory of its own"),
    ):
        with pytest.raises(KernelInputError, match=text):
            apply_matrix(*args)
    update = low_rank(np.eye(3))
    with pytest.raises(KernelInputError, match="2 columns"):
        apply_low_rank(update, x[:2])
    with pytest.raises(KernelInputError, match="memory of its own"):
        apply_low_rank(update, x, x)
