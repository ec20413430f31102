"""Harmonic fields: equal to derivatives of SciPy's harmonics; curl-free and divergence-free."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainforge.errors import KernelInputError
from brainforge.kernels.harmonics import irregular_fields, n_harmonics, regular_fields
from tests.reference.harmonics import fields_reference


@settings(derandomize=True, max_examples=25, deadline=None)
@given(degree=st.integers(1, 7), n=st.integers(1, 6), seed=st.integers(0, 2**31))
def test_equal_reference(degree, n, seed):
    rng = np.random.default_rng(seed)
    points = rng.standard_normal((n, 3))
    points *= (rng.uniform(0.8, 1.3, n) / np.linalg.norm(points, axis=1))[:, None]
    for made, inside in ((regular_fields, False), (irregular_fields, True)):
        got = made(points, degree)
        assert got.shape == (n, 3, n_harmonics(degree))
        want = fields_reference(points, degree, inside=inside)
        np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-6 * np.abs(want).max())


@pytest.mark.parametrize("made", [regular_fields, irregular_fields])
def test_fields_have_neither_divergence_nor_curl(made):
    points, step = np.array([[0.3, -0.5, 0.9], [1.0, 0.2, 0.1]]), 1e-5
    jacobian = np.stack(
        [(made(points + step * e, 9) - made(points - step * e, 9)) / (2 * step) for e in np.eye(3)],
        axis=1,
    )
    size = np.abs(jacobian).max()
    assert np.abs(np.einsum("piif->pf", jacobian)).max() < 1e-7 * size
    assert np.abs(jacobian - jacobian.transpose(0, 2, 1, 3)).max() < 1e-7 * size


def test_degree_one_is_homogeneous_and_no_points_are_fine():
    fields = regular_fields(np.random.default_rng(0).standard_normal((5, 3)), 1)
    np.testing.assert_allclose(fields, np.broadcast_to(fields[0], fields.shape), atol=1e-12)
    assert np.linalg.matrix_rank(fields[0]) == 3
    assert regular_fields(np.zeros((0, 3)), 2).shape == (0, 3, 8)


def test_bad_input():
    with pytest.raises(KernelInputError, match="xyz"):
        regular_fields(np.zeros((2, 2)), 1)
    with pytest.raises(KernelInputError, match="finite"):
        regular_fields(np.full((2, 3), np.nan), 1)
    with pytest.raises(KernelInputError, match="degree"):
        regular_fields(np.zeros((2, 3)), 0)
    with pytest.raises(KernelInputError, match="origin"):
        irregular_fields(np.zeros((1, 3)), 1)
