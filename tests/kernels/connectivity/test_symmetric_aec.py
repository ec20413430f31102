"""Symmetric orthogonalisation: the reference, known truths, rank."""

from __future__ import annotations

import numpy as np
import pytest

from brainforge.errors import KernelInputError
from brainforge.kernels.connectivity.aec import envelope_correlation as pairwise
from brainforge.kernels.connectivity.symmetric_aec import (
    orthogonalised,
    orthogonaliser,
    signal_products,
    symmetric_envelope_correlation,
)
from tests.reference.symmetric_aec import envelope_correlation as plain_correlation
from tests.reference.symmetric_aec import orthogonalise

SFREQ = 100.0


def noise(rng, n, n_times):
    return rng.standard_normal((n, n_times, 2)) @ np.array([1.0, 1.0j])


def slow_envelopes(rng, n, n_times):
    """Return positive envelopes that change within about a second."""
    smooth = np.hanning(101) / np.hanning(101).sum()
    raw = np.array([np.convolve(row, smooth, "same") for row in rng.standard_normal((n, n_times))])
    return np.exp(raw / raw.std())


@pytest.mark.parametrize(("n", "n_times"), [(1, 9), (2, 31), (5, 200), (12, 333)])
@pytest.mark.parametrize("scale", [1.0, 1e-13])
def test_equals_the_plain_definition(n, n_times, scale):
    rng = np.random.default_rng([7, n])
    z = noise(rng, n, n_times)
    z = scale * (z + 0.6 * z[:1] + 0.3 * np.roll(z, 1, axis=0)) * np.geomspace(1, 30, n)[:, None]
    got, found = symmetric_envelope_correlation(z, tolerance=1e-12)
    assert found.converged
    np.testing.assert_allclose(got, plain_correlation(z), atol=1e-7)
    np.testing.assert_allclose(orthogonalised(z, found), orthogonalise(z), atol=1e-6 * scale * 30)
    single, _ = symmetric_envelope_correlation(z.astype(np.complex64))
    np.testing.assert_allclose(single, got, atol=1e-5)


def test_signals_come_out_orthogonal_at_their_own_size_and_change_little():
    x = np.random.default_rng(3).standard_normal((8, 500))
    x += 0.2 * np.roll(x, 1, axis=0)
    found = orthogonaliser(signal_products(x))
    y = orthogonalised(x, found)
    products = y @ y.T
    np.testing.assert_allclose(products - np.diag(np.diag(products)), 0.0, atol=1e-8)
    assert found.converged
    assert found.n_iterations < 50
    assert found.residual == pytest.approx(np.sum((x - y) ** 2) / np.sum(x**2), rel=1e-6)
    for other in (1.01 * y, y[::-1]):
        assert np.sum((x - y) ** 2) < np.sum((x - other) ** 2)


def test_orthogonal_signals_are_left_alone():
    x = np.linalg.qr(np.random.default_rng(5).standard_normal((300, 6)))[0].T
    x *= np.arange(1, 7)[:, None]
    found = orthogonaliser(signal_products(x))
    np.testing.assert_allclose(orthogonalised(x, found), x, atol=1e-12)
    assert found.residual < 1e-12


def leak(n, size):
    """Return a field spread that is the same both ways, which is undone exactly."""
    return (1 - size) * np.eye(n) + size


def test_coupled_envelopes_are_found_and_instantaneous_mixing_is_not():
    rng = np.random.default_rng(11)
    envelopes = slow_envelopes(rng, 5, 30_000)
    envelopes[1] = 0.7 * envelopes[0] + 0.3 * envelopes[1]
    sources = noise(rng, 5, 30_000) * envelopes
    sources /= np.linalg.norm(sources, axis=1, keepdims=True)
    truth = np.corrcoef(np.abs(sources))[np.triu_indices(5, 1)]
    leaked = np.corrcoef(np.abs(leak(5, 0.4) @ sources))[np.triu_indices(5, 1)]
    got, _ = symmetric_envelope_correlation(leak(5, 0.4) @ sources)
    np.testing.assert_allclose(got, truth, atol=0.03)
    assert truth[0] > 0.3
    assert np.abs(truth[1:]).max() < 0.1
    assert leaked[1:].min() > 0.2


def test_takes_out_inherited_coupling_where_pairwise_does_not():
    rng = np.random.default_rng(2)
    envelopes = slow_envelopes(rng, 4, 30_000)
    envelopes[3] = envelopes[2]
    sources = noise(rng, 4, 30_000) * envelopes
    sources /= np.linalg.norm(sources, axis=1, keepdims=True)
    # channels 0 and 1 are near 2 and 3, which are coupled to each other
    spread = np.eye(4)
    spread[[0, 2, 1, 3], [2, 0, 3, 1]] = 0.7
    mixed = spread @ sources
    symmetric = symmetric_envelope_correlation(mixed)[0]
    assert abs(symmetric[0]) < 0.04
    assert pairwise(mixed)[0] > 0.12
    assert symmetric[5] > 0.5


def test_agrees_with_mne_connectivity():
    from mne_connectivity import symmetric_orth

    x = np.random.default_rng(4).standard_normal((9, 400)) * np.geomspace(1, 5, 9)[:, None]
    x += 0.5 * x[:1]
    peer = symmetric_orth(x, n_iter=500, tol=1e-14, verbose="error")
    found = orthogonaliser(signal_products(x), tolerance=1e-13)
    np.testing.assert_allclose(orthogonalised(x, found), peer, atol=1e-5 * np.abs(x).max())


def test_too_few_dimensions_are_refused_with_the_rank():
    rng = np.random.default_rng(1)
    z = noise(rng, 6, 300).astype(np.complex64)
    z[5] = z[:5].mean(axis=0)
    with pytest.raises(KernelInputError, match="rank 5; take at most 5"):
        symmetric_envelope_correlation(z)
    with pytest.raises(KernelInputError, match="rank 8"):
        symmetric_envelope_correlation(noise(rng, 20, 4))
    z[5] = 0
    with pytest.raises(KernelInputError, match="flat channels at 5; leave them out"):
        symmetric_envelope_correlation(z)


def test_says_when_it_has_not_converged():
    x = np.random.default_rng(3).standard_normal((8, 50))
    x += 2 * x[:1]
    found = orthogonaliser(signal_products(x), max_iterations=1)
    assert not found.converged
    assert found.n_iterations == 1


def test_bad_input_is_named():
    with pytest.raises(KernelInputError, match="signal: expected a complex array"):
        symmetric_envelope_correlation(np.zeros((2, 5)))
    with pytest.raises(KernelInputError, match="channels x times"):
        signal_products(np.zeros(5))
    with pytest.raises(KernelInputError, match="channels x channels"):
        orthogonaliser(np.zeros((2, 3)))
    with pytest.raises(KernelInputError, match="finite"):
        symmetric_envelope_correlation(np.full((2, 5), np.nan + 0j))
    assert symmetric_envelope_correlation(np.zeros((0, 5), complex))[0].shape == (0,)
