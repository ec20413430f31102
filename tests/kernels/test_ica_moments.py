from __future__ import annotations

import numpy as np
import pytest

from brainforge.kernels.ica_moments import TILE, score_tile, source_moments
from tests.reference import picard as reference


def test_approximations_keep_the_stated_errors():
    y = np.linspace(-30, 30, 600_001, dtype=np.float32).reshape(1, -1)
    psi, dpsi, square = np.empty_like(y), np.empty_like(y), np.empty_like(y)
    score_tile(y, psi, dpsi, square, np.zeros(1), np.zeros(1))
    exact = np.tanh(y.astype(np.float64))
    assert np.abs(psi - exact).max() < 4e-7
    assert np.abs(dpsi - (1 - exact**2)).max() < 8e-7
    assert np.array_equal(square, y * y)
    assert np.array_equal(psi, -psi[:, ::-1])
    for value in (-20.0, -3.0, -0.5, -1e-4, 0.0, 1e-4, 0.1, 1.0, 2.0, 8.9, 9.1, 50.0):
        one, total = np.full((1, 1), value, dtype=np.float32), np.zeros(1)
        score_tile(
            one, np.empty_like(one), np.empty_like(one), np.empty_like(one), total, np.zeros(1)
        )
        exact = np.logaddexp(np.float64(one[0, 0]), -np.float64(one[0, 0]))
        assert abs(total[0] - exact) < 3e-7 * (1 + abs(value))


@pytest.mark.parametrize("n", [1, 2, 7, 19])
@pytest.mark.parametrize("n_samples", [1, 333, TILE, 3 * TILE + 17, 20_001])
def test_equal_to_the_reference(n, n_samples):
    rng = np.random.default_rng([n, n_samples])
    x = rng.laplace(size=(n, n_samples)).astype(np.float32)
    w = rng.normal(size=(n, n)) / np.sqrt(n)
    got = source_moments(x, w)
    want = reference.moments(x, w.astype(np.float32).astype(np.float64))
    for a, b in zip((got.loglik, got.dpsi, got.psi_y, got.dpsi_y2), want):
        assert a.dtype == np.float64
        np.testing.assert_allclose(a, b, rtol=3e-6, atol=2e-6)


def test_strided_input_and_any_number_of_threads_give_the_same_bits():
    rng = np.random.default_rng(3)
    x = rng.laplace(size=(6, 40_000)).astype(np.float32)
    w = rng.normal(size=(6, 6))
    part = x[:, 100:30_100]
    first = source_moments(part, w)
    for other in (
        source_moments(part, w, n_threads=2),
        source_moments(part.copy(), w, n_threads=3),
    ):
        assert np.array_equal(first.psi_y, other.psi_y)
        assert np.array_equal(first.loglik, other.loglik)
