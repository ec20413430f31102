"""Applying a matrix in tiles equals the float64 product, with any threads and any buffer."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainforge.errors import KernelInputError
from brainforge.kernels.apply import apply_matrix
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
