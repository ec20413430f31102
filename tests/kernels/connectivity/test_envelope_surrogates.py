"""Surrogates of envelope correlations: uniform p where nothing is coupled, and detection."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from brainforge.errors import KernelInputError
from brainforge.kernels.connectivity.aec import envelope_correlation
from brainforge.kernels.connectivity.envelope_surrogates import (
    ENVELOPE_SCHEMES,
    envelope_surrogates,
)
from tests.emulator.cuda import COMPILER
from tests.emulator.strict import fake_device, put


def noise(rng, n_epochs, n_channels, n_times):
    """Return band-limited analytic noise: its envelope moves slowly."""
    spectrum = np.zeros((n_epochs, n_channels, n_times), dtype=complex)
    shape = (n_epochs, n_channels, n_times // 6)
    spectrum[..., : n_times // 6] = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
    return np.fft.ifft(spectrum, axis=-1)


@pytest.mark.parametrize("orthogonalize", ["pairwise", "symmetric"])
@pytest.mark.parametrize("scheme", ENVELOPE_SCHEMES)
def test_p_is_uniform_where_nothing_is_coupled(scheme, orthogonalize):
    seed = 21
    z = noise(np.random.default_rng(seed), 12, 16, 240)
    test = envelope_surrogates(
        z, scheme=scheme, orthogonalize=orthogonalize, n_surrogates=99, seed=seed
    )
    assert stats.kstest(test.p, "uniform").pvalue > 1e-3, f"seed {seed}"
    assert test.p.min() >= 0.01
    assert (test.p_corrected > 0.05).all()


@pytest.mark.parametrize("scheme", ENVELOPE_SCHEMES)
def test_planted_coupling_is_found_and_nothing_else(scheme):
    rng = np.random.default_rng(5)
    z = noise(rng, 20, 6, 300)
    common = 1 + np.abs(noise(rng, 20, 1, 300))[:, 0] / np.abs(z).std()
    z[:, 1] *= common
    z[:, 4] *= common
    z[:, 0] += 0.5 * z[:, 5]  # instantaneous mixing is no coupling
    test = envelope_surrogates(z, scheme=scheme, n_surrogates=99, seed=1)
    found = list(zip(*np.triu_indices(6, 1)))
    planted = np.array([pair == (1, 4) for pair in found])
    assert test.p_corrected[planted] == 0.01
    assert (test.p_corrected[~planted] > 0.05).all()
    direct = np.mean([envelope_correlation(epoch) for epoch in z], axis=0)
    np.testing.assert_allclose(test.observed, direct, atol=1e-12)


def test_two_sided_finds_what_excludes_each_other():
    rng = np.random.default_rng(9)
    z = noise(rng, 20, 3, 300)
    common = np.abs(noise(rng, 20, 1, 300))[:, 0]
    common = 0.2 + 0.8 * common / common.max()
    z[:, 0] *= common / np.abs(z[:, 0])
    z[:, 1] *= (1.2 - common) / np.abs(z[:, 1])
    one = envelope_surrogates(z, n_surrogates=99)
    two = envelope_surrogates(z, n_surrogates=99, two_sided=True)
    assert one.p[0] > 0.9
    assert two.p[0] == 0.01


def test_the_seed_decides_and_threads_do_not():
    z = noise(np.random.default_rng(2), 3, 4, 90)
    runs = [
        envelope_surrogates(z, n_surrogates=19, seed=s, n_threads=k).threshold
        for s, k in ((1, 1), (1, 2), (2, 1))
    ]
    np.testing.assert_array_equal(runs[0], runs[1])
    assert (runs[0] != runs[2]).any()


@pytest.mark.skipif(COMPILER is None, reason="no g++ here: CUDA sources cannot be emulated")
@pytest.mark.parametrize("orthogonalize", ["pairwise", "symmetric"])
@pytest.mark.parametrize("scheme", ENVELOPE_SCHEMES)
def test_a_device_gives_the_same(scheme, orthogonalize):
    z = noise(np.random.default_rng(2), 3, 4, 90).astype(np.complex64)
    options = {"scheme": scheme, "orthogonalize": orthogonalize, "n_surrogates": 19}
    here = envelope_surrogates(z, **options)
    with fake_device():
        there = envelope_surrogates(put(z), **options)
    np.testing.assert_allclose(there.observed, here.observed, atol=1e-5)
    np.testing.assert_allclose(there.threshold, here.threshold, atol=1e-5)
    np.testing.assert_array_equal(there.p, here.p)


def test_bad_input_is_named():
    z = noise(np.random.default_rng(2), 2, 3, 60)
    with pytest.raises(KernelInputError, match="signals: expected a complex array of epochs"):
        envelope_surrogates(z[0])
    with pytest.raises(KernelInputError, match="finite"):
        envelope_surrogates(np.full_like(z, np.nan))
    with pytest.raises(KernelInputError, match="orthogonalize: expected pairwise"):
        envelope_surrogates(z, orthogonalize="no")
    with pytest.raises(KernelInputError, match="scheme: expected one of shift, permute"):
        envelope_surrogates(z, scheme="phase")
    with pytest.raises(KernelInputError, match="at least 2 epochs, got 1"):
        envelope_surrogates(z[:1], scheme="permute")
    with pytest.raises(KernelInputError, match="n_surrogates"):
        envelope_surrogates(z, n_surrogates=5)
