"""Short-time Fourier transforms against the definition and SciPy."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st

from brainforge.errors import KernelInputError
from brainforge.kernels import stft as module
from brainforge.kernels.stft import StftPlan, stft
from tests.reference import stft as reference


@settings(max_examples=40, derandomize=True, deadline=None)
@given(
    n_channels=st.integers(0, 4),
    n_samples=st.integers(0, 400),
    n_per_seg=st.integers(2, 90),
    step=st.integers(1, 120),
    window=st.sampled_from(["hann", "hamming", "boxcar"]),
    n_bad=st.integers(0, 3),
)
def test_equals_the_definition(n_channels, n_samples, n_per_seg, step, window, n_bad):
    rng = np.random.default_rng(n_samples)
    x = rng.standard_normal((n_channels, n_samples)).astype(np.float32)
    good = np.ones(x.shape, dtype=bool)
    if good.size:
        good[rng.integers(n_channels, size=n_bad), rng.integers(n_samples, size=n_bad)] = False
    x[~good] = np.nan
    plan = StftPlan(100.0, n_per_seg, step, window)
    got = stft(x, plan, good, n_threads=2)
    want = reference.stft(x, n_per_seg, step, window, good)
    assert got.dtype == np.complex64
    np.testing.assert_allclose(got, want, atol=1e-6)
    assert got.shape[1:] == (len(plan.times(n_samples)), len(plan.freqs))


@pytest.mark.parametrize("n_per_seg", [200, 251])
def test_agrees_with_scipy(n_per_seg):
    x = np.random.default_rng(1).standard_normal((3, 5000)).cumsum(axis=1).astype(np.float32)
    plan = StftPlan(250.0, n_per_seg, 60)
    got = stft(x, plan)
    window = scipy.signal.get_window("hann", n_per_seg)
    peer = scipy.signal.ShortTimeFFT(
        window, hop=60, fs=250.0, fft_mode="onesided", scale_to="magnitude", phase_shift=None
    )
    # SciPy numbers its frames by their middle; the first whole one begins at sample 0
    middle = n_per_seg // 2
    theirs = peer.stft(x.astype(np.float64), k_offset=middle, p0=0, p1=got.shape[1])
    theirs = theirs.transpose(0, 2, 1)
    assert np.abs(got - theirs).max() / np.abs(theirs).max() < 1e-6
    np.testing.assert_allclose(plan.freqs, peer.f)


def test_a_sine_that_stops():
    t = np.arange(2000) / 200
    x = np.where(t < 5, 3 * np.cos(2 * np.pi * 20 * t + 0.4), 0)[None].astype(np.float32)
    plan = StftPlan(200.0, 200, 100)
    got = stft(x, plan)[0, :, 20]
    times = plan.times(2000)
    np.testing.assert_allclose(np.abs(got[times < 4.4]), 1.5, rtol=1e-5)
    np.testing.assert_allclose(np.angle(got[times < 4.4]), 0.4, atol=1e-5)
    assert not got[times > 5.6].any()


def test_tiles_change_nothing(monkeypatch):
    x = np.random.default_rng(2).standard_normal((2, 900)).astype(np.float32)
    plan = StftPlan(100.0, 64, 10)
    whole = stft(x, plan)
    monkeypatch.setattr(module, "_TILE_BYTES", 4 * 64 * 5)
    np.testing.assert_allclose(stft(x, plan), whole, atol=1e-7)


def test_bad_input_is_refused():
    with pytest.raises(KernelInputError, match="window"):
        StftPlan(100.0, 10, 5, "kaiser")
    with pytest.raises(KernelInputError, match="frames"):
        StftPlan(100.0, 10, 0)
    plan = StftPlan(100.0, 10, 5)
    with pytest.raises(KernelInputError, match="float32"):
        stft(np.zeros((2, 20)), plan)
    with pytest.raises(KernelInputError, match="good"):
        stft(np.zeros((2, 20), np.float32), plan, np.ones((2, 19), bool))
