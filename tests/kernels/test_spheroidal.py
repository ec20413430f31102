"""Spheroidal harmonics: SciPy's Legendre functions, Laplace's equation, the sphere as a limit."""

from __future__ import annotations

import numpy as np
import pytest

from brainforge.errors import KernelInputError
from brainforge.kernels.harmonics import irregular_fields, n_harmonics, regular_fields
from brainforge.kernels.spheroidal import spheroidal_inside, spheroidal_outside
from tests.reference.spheroidal import potentials

BOTH = [(spheroidal_inside, irregular_fields), (spheroidal_outside, regular_fields)]


def some_points(n=7, seed=0):
    rng = np.random.default_rng(seed)
    points = rng.standard_normal((n, 3))
    return points * (rng.uniform(0.9, 1.3, n) / np.linalg.norm(points, axis=1))[:, None]


@pytest.mark.parametrize("made, _", BOTH)
@pytest.mark.parametrize("focus", [0.2, 0.5, 0.8])
def test_each_is_scipys_up_to_its_scale(made, _, focus):
    points, step, inside = some_points(), 1e-5, made is spheroidal_inside
    want = np.stack(
        [
            potentials(points + step * e, 5, focus, inside=inside)
            - potentials(points - step * e, 5, focus, inside=inside)
            for e in np.eye(3)
        ],
        axis=1,
    )
    got = made(points, 5, focus)
    assert got.shape == (7, 3, n_harmonics(5))
    scale = (want * got).sum(axis=(0, 1)) / (got**2).sum(axis=(0, 1))
    size = np.abs(want).max(axis=(0, 1))
    assert (np.abs(want - scale * got).max(axis=(0, 1)) / size).max() < 1e-6


@pytest.mark.parametrize("made, _", BOTH)
def test_potentials_solve_laplaces_equation(made, _):
    points, step = some_points(), 1e-5
    jacobian = np.stack(
        [
            (made(points + step * e, 9, 0.5) - made(points - step * e, 9, 0.5)) / (2 * step)
            for e in np.eye(3)
        ],
        axis=1,
    )[..., 3:]  # degree 1 does not change in space
    size = np.abs(jacobian).max(axis=(0, 1, 2))
    assert (np.abs(np.einsum("piif->pf", jacobian)).max(axis=0) / size).max() < 1e-7
    curl = np.abs(jacobian - jacobian.transpose(0, 2, 1, 3)).max(axis=(0, 1, 2))
    assert (curl / size).max() < 1e-7


@pytest.mark.parametrize("made, sphere", BOTH)
def test_a_sphere_is_the_limit(made, sphere):
    points = some_points()
    want = sphere(points, 9)
    size = np.abs(want).max()
    np.testing.assert_allclose(made(points, 9, 0.0), want, atol=1e-12 * size)
    errors = [np.abs(made(points, 9, c) - want).max() / size for c in (1e-2, 1e-3)]
    assert errors[0] / errors[1] == pytest.approx(100, rel=0.01)  # even in the focus


def test_outside_fields_span_what_solid_harmonics_span():
    points = some_points(40)
    ours = spheroidal_outside(points, 4, 0.6).reshape(120, -1)
    theirs = regular_fields(points, 4).reshape(120, -1)
    q = np.linalg.qr(theirs)[0]
    np.testing.assert_allclose(q @ (q.T @ ours), ours, atol=1e-11 * np.abs(ours).max())
    assert np.linalg.matrix_rank(ours) == 24


@pytest.mark.parametrize("made, _", BOTH)
def test_points_on_the_long_axis_are_regular(made, _):
    beside = made(np.array([[1e-9, 1e-9, 1.1]]), 6, 0.5)
    np.testing.assert_allclose(made(np.array([[0.0, 0.0, 1.1]]), 6, 0.5), beside, atol=1e-6)
    assert made(np.zeros((0, 3)), 2, 0.5).shape == (0, 3, 8)


def test_bad_input():
    with pytest.raises(KernelInputError, match="xyz"):
        spheroidal_inside(np.zeros((2, 2)), 1, 0.1)
    with pytest.raises(KernelInputError, match="finite"):
        spheroidal_inside(np.full((2, 3), np.inf), 1, 0.1)
    with pytest.raises(KernelInputError, match="degree of at least 1"):
        spheroidal_outside(np.ones((2, 3)), 0, 0.1)
    with pytest.raises(KernelInputError, match="focus of 0 or more"):
        spheroidal_outside(np.ones((2, 3)), 1, -0.1)
    with pytest.raises(KernelInputError, match="line between the foci"):
        spheroidal_inside(np.array([[0.0, 0.0, 0.3]]), 1, 0.5)
    with pytest.raises(KernelInputError, match="line between the foci"):
        spheroidal_outside(np.zeros((1, 3)), 1, 0.0)
