"""Cross-spectral densities against the plain definition, SciPy and MNE."""

from __future__ import annotations

import mne
import numpy as np
import pytest
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st

from brainforge.errors import KernelInputError
from brainforge.kernels import csd as module
from brainforge.kernels.csd import csd_sums
from brainforge.kernels.psd import WelchPlan, welch_sums
from tests.reference import psd as reference


@settings(max_examples=40, derandomize=True, deadline=None)
@given(
    n_channels=st.integers(0, 4),
    n_samples=st.integers(0, 700),
    n_per_seg=st.integers(2, 90),
    step=st.integers(1, 90),
    window=st.sampled_from(["hann", "hamming"]),
    n_bad=st.integers(0, 3),
)
def test_equals_the_definition(n_channels, n_samples, n_per_seg, step, window, n_bad):
    step = min(step, n_per_seg)
    rng = np.random.default_rng(n_samples)
    x = (5 + rng.standard_normal((n_channels, n_samples))).astype(np.float32)
    good = np.ones(x.shape, dtype=bool)
    if good.size:
        good[rng.integers(n_channels, size=n_bad), rng.integers(n_samples, size=n_bad)] = False
    csd, n = csd_sums(x, WelchPlan(100.0, n_per_seg, step, window), good)
    want, n_want = reference.csd_sums(x, 100.0, n_per_seg, step, window, good)
    assert n == n_want or not n_channels
    np.testing.assert_allclose(csd, want, rtol=1e-4, atol=1e-5)


def test_agrees_with_scipy():
    x = np.random.default_rng(5).standard_normal((3, 20000)).cumsum(axis=1).astype(np.float32)
    plan = WelchPlan(250.0, 500, 250)
    csd, n = csd_sums(x, plan)
    pairs = x.astype(np.float64)[:, None], x.astype(np.float64)[None]
    _, theirs = scipy.signal.csd(*pairs, 250.0, "hann", 500, 250, detrend="constant")
    # SciPy conjugates the first of the two
    theirs = theirs.transpose(2, 0, 1).conj()[1:]
    scale = np.sqrt(np.einsum("fii,fjj->fij", theirs, theirs).real)
    assert (np.abs(csd[1:] / n - theirs) / scale).max() < 1e-5


def test_coherency_is_that_of_mne():
    """MNE's Hann window is symmetric, ours periodic: at 400 samples that shows at 1e-3."""
    rng = np.random.default_rng(6)
    epochs = rng.standard_normal((40, 3, 400)) + rng.standard_normal((40, 1, 400))
    theirs = mne.time_frequency.csd_array_fourier(
        epochs, 200.0, fmin=9.9, fmax=10.1, n_fft=400, verbose=False
    ).get_data(10.0)
    x = np.ascontiguousarray(epochs.transpose(1, 0, 2).reshape(3, -1).astype(np.float32))
    csd, n = csd_sums(x, WelchPlan(200.0, 400, 400), fmin=10, fmax=10)
    assert n == 40
    np.testing.assert_allclose(_coherency(csd[0]), _coherency(theirs), atol=1e-3)


def _coherency(csd):
    power = np.diagonal(csd).real
    return csd / np.sqrt(power[:, None] * power[None])


def test_known_phase_hermitian_and_the_power_on_the_diagonal():
    t = np.arange(8000) / 200
    x = np.stack([np.cos(2 * np.pi * 10 * t), np.cos(2 * np.pi * 10 * t - 0.7)])
    plan = WelchPlan(200.0, 400, 200)
    csd, n = csd_sums(x.astype(np.float32), plan, fmin=10, fmax=10, n_threads=2)
    assert csd.shape == (1, 2, 2)
    np.testing.assert_array_equal(csd, csd.conj().transpose(0, 2, 1))
    assert np.angle(csd[0, 0, 1]) == pytest.approx(0.7, abs=1e-4)
    power, _ = welch_sums(x.astype(np.float32), plan)
    np.testing.assert_allclose(csd[0].diagonal().real, power[:, 20], rtol=1e-5)
    assert n == plan.n_segments(8000)


def test_batches_of_segments_add_up(monkeypatch):
    x = np.random.default_rng(7).standard_normal((4, 3000)).astype(np.float32)
    plan = WelchPlan(100.0, 100, 50)
    whole, n = csd_sums(x, plan)
    monkeypatch.setattr(module, "_HELD_BYTES", 8 * 4 * 51 * 7)
    parts, n_parts = csd_sums(x, plan)
    assert n == n_parts
    np.testing.assert_allclose(parts, whole, rtol=0, atol=1e-6 * np.abs(whole).max())


def test_bad_input_is_refused():
    plan = WelchPlan(100.0, 10, 5)
    x = np.zeros((2, 20), np.float32)
    with pytest.raises(KernelInputError, match="float32"):
        csd_sums(x.astype(np.float64), plan)
    with pytest.raises(KernelInputError, match="good"):
        csd_sums(x, plan, np.ones((2, 19), bool))
    with pytest.raises(KernelInputError, match="fmin, fmax"):
        csd_sums(x, plan, fmin=51)
