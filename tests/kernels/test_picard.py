from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainforge.errors import KernelInputError
from brainforge.kernels.namespace import TRAFFIC
from brainforge.kernels.picard import picard
from tests.emulator.cuda import COMPILER
from tests.emulator.strict import fake_device, put
from tests.reference import picard as reference
from tests.reference.ica import amari, whitened_mixture


@pytest.mark.parametrize("ortho", [False, True])
def test_finds_known_sources(ortho):
    x, mixing = whitened_mixture(9, 30_000, np.random.default_rng(1))
    fit = picard(x.astype(np.float32), ortho=ortho)
    assert fit.converged
    assert fit.gradient_norm <= 1e-6
    assert amari(fit.matrix @ mixing) < 0.02
    assert np.count_nonzero(fit.signs < 0) == 3
    if ortho:
        covariance = fit.matrix @ (x @ x.T / x.shape[1]) @ fit.matrix.T
        np.testing.assert_allclose(covariance, np.eye(9), atol=1e-6)


def test_equal_to_the_plain_reference():
    x, _ = whitened_mixture(5, 4_000, np.random.default_rng(2))
    fit = picard(x.astype(np.float32))
    plain = reference.picard(x)
    assert amari(fit.matrix @ np.linalg.inv(plain)) < 1e-5
    assert np.abs(reference.gradient(x, fit.matrix, fit.signs)).max() < 2e-6


@pytest.mark.parametrize("ortho", [False, True])
@pytest.mark.parametrize("coarse", [1, 8])
def test_equal_to_the_peer_from_the_same_start(ortho, coarse):
    peer = pytest.importorskip("picard")
    x, _ = whitened_mixture(12, 40_000, np.random.default_rng(3))
    start = np.linalg.qr(np.random.default_rng(4).normal(size=(12, 12)))[0]
    fit = picard(x.astype(np.float32), start, ortho=ortho, coarse=coarse)
    options = {"ortho": ortho, "extended": True, "whiten": False, "centering": False}
    _, w, _ = peer.picard(x, w_init=start, tol=1e-6, **options)
    assert fit.converged
    assert amari(fit.matrix @ np.linalg.inv(w)) < 1e-5


def test_not_extended_equals_the_peer():
    peer = pytest.importorskip("picard")
    rng = np.random.default_rng(5)
    x = rng.normal(size=(6, 6)) @ rng.laplace(size=(6, 20_000))
    x -= x.mean(axis=1, keepdims=True)
    values, vectors = np.linalg.eigh(x @ x.T / x.shape[1])
    x = (vectors / np.sqrt(values)).T @ x
    fit = picard(x.astype(np.float32), extended=False)
    options = {"ortho": False, "extended": False, "whiten": False, "centering": False}
    _, w, _ = peer.picard(x, w_init=np.eye(6), tol=1e-6, **options)
    assert amari(fit.matrix @ np.linalg.inv(w)) < 1e-5


def test_same_bits_for_any_number_of_threads_and_any_layout():
    x, _ = whitened_mixture(8, 20_000, np.random.default_rng(6))
    x = x.astype(np.float32)
    first = picard(x)
    assert np.array_equal(first.matrix, picard(x, n_threads=2).matrix)
    assert np.array_equal(first.matrix, picard(np.asfortranarray(x)).matrix)


def test_a_start_on_a_subsample_saves_full_iterations():
    x, _ = whitened_mixture(10, 60_000, np.random.default_rng(7))
    x = x.astype(np.float32)
    plain, warm = picard(x, coarse=1), picard(x)
    assert plain.n_iter_coarse == 0
    assert warm.n_iter < plain.n_iter / 2
    assert amari(warm.matrix @ np.linalg.inv(plain.matrix)) < 1e-5


def test_gaussian_data_end_without_error():
    x = np.random.default_rng(8).normal(size=(4, 5_000)).astype(np.float32)
    fit = picard(x, max_iter=50)
    assert np.isfinite(fit.matrix).all()


def test_one_component_is_only_scaled():
    x = np.random.default_rng(9).laplace(size=(1, 3_001)).astype(np.float32)
    fit = picard(x)
    assert fit.converged
    assert fit.matrix.shape == (1, 1)


@settings(max_examples=8, deadline=None, derandomize=True)
@given(n=st.integers(2, 6), seed=st.integers(0, 10_000))
def test_equivariant_under_a_rotation_of_the_start(n, seed):
    rng = np.random.default_rng(seed)
    x, _ = whitened_mixture(n, 6_000, rng)
    turn = np.linalg.qr(rng.normal(size=(n, n)))[0]
    plain = picard(x.astype(np.float32), coarse=1)
    turned = picard((turn @ x).astype(np.float32), turn.T, coarse=1)
    assert amari(turned.matrix @ turn @ np.linalg.inv(plain.matrix)) < 1e-3


def test_bad_input_is_named():
    x = np.random.default_rng(10).normal(size=(3, 100)).astype(np.float32)
    with pytest.raises(KernelInputError, match="float32"):
        picard(x.astype(np.float64))
    with pytest.raises(KernelInputError, match="more samples than the 3 components"):
        picard(x[:, :3])
    bad = x.copy()
    bad[1, 5] = np.nan
    with pytest.raises(KernelInputError, match=r"NaN.*\[1\]"):
        picard(bad)
    flat = x.copy()
    flat[2] = 0
    with pytest.raises(KernelInputError, match=r"flat rows \[2\]"):
        picard(flat)
    for name, value in {
        "tol": 0.0, "lambda_min": np.nan, "memory": 0, "max_iter": -1, "coarse": -1,
    }.items():  # fmt: skip
        with pytest.raises(KernelInputError, match=name):
            picard(x, **{name: value})
    with pytest.raises(KernelInputError, match="start"):
        picard(x, np.eye(2))


@pytest.mark.parametrize("ortho", [False, True])
def test_an_earlier_unmixing_as_start_takes_fewer_iterations_to_the_same_optimum(ortho):
    x, _ = whitened_mixture(8, 60_000, np.random.default_rng(11))
    x = x.astype(np.float32)
    earlier = picard(x[:, :50_000], ortho=ortho)
    cold, warm = picard(x, ortho=ortho), picard(x, earlier.matrix, ortho=ortho)
    assert warm.converged
    assert warm.n_iter_coarse == 0
    assert warm.n_iter < (cold.n_iter + cold.n_iter_coarse) / 1.5
    assert amari(warm.matrix @ np.linalg.inv(cold.matrix)) < 1e-5


def test_a_start_far_off_leads_to_the_same_optimum():
    x, _ = whitened_mixture(8, 60_000, np.random.default_rng(12))
    x = x.astype(np.float32)
    far = np.random.default_rng(13).normal(size=(8, 8))
    cold, warm = picard(x, ortho=True), picard(x, far, ortho=True)
    assert warm.converged
    assert amari(warm.matrix @ np.linalg.inv(cold.matrix)) < 1e-5


def test_no_iterations_leave_the_start_and_say_so():
    x, _ = whitened_mixture(4, 4_000, np.random.default_rng(16))
    fit = picard(x.astype(np.float32), max_iter=0)
    assert not fit.converged
    assert np.array_equal(fit.matrix, np.eye(4))
    assert fit.gradient_norm > 1e-6


def test_rank_deficient_data_and_starts_are_named():
    x = np.random.default_rng(14).normal(size=(4, 2_000)).astype(np.float32)
    twin = x.copy()
    twin[3] = twin[0] - 2 * twin[1]
    with pytest.raises(KernelInputError, match=r"4 independent rows.*rank 3"):
        picard(twin)
    start = np.eye(4)
    start[2] = start[1]
    with pytest.raises(KernelInputError, match=r"start.*rank 3"):
        picard(x, start)
    with pytest.raises(KernelInputError, match="start"):
        picard(x, np.full((4, 4), np.nan))


@pytest.mark.skipif(COMPILER is None, reason="no g++ to run the CUDA source by the emulator")
def test_moments_are_made_where_the_data_are_and_only_they_come_home():
    x, _ = whitened_mixture(4, 12_000, np.random.default_rng(15))
    x = x.astype(np.float32)
    here = picard(x, ortho=True, coarse=2)
    with fake_device():
        there = put(x)
        before = TRAFFIC.to_host_bytes
        fit = picard(there, ortho=True, coarse=2)
        home = TRAFFIC.to_host_bytes - before
    assert fit.converged
    assert amari(fit.matrix @ np.linalg.inv(here.matrix)) < 1e-5
    assert home < 0.2 * x.nbytes
