"""Welch sums against the plain definition and MNE."""

from __future__ import annotations

import mne
import numpy as np
import pytest
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st

from brainforge.errors import KernelInputError
from brainforge.kernels.psd import WelchPlan, csd_sums, good_segments, welch_sums
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
    plan = WelchPlan(100.0, n_per_seg, step, window)
    power, count = welch_sums(x, plan, good)
    want, n = reference.welch_sums(x, 100.0, n_per_seg, step, window, good)
    np.testing.assert_array_equal(count, n)
    np.testing.assert_allclose(power, want, rtol=1e-4, atol=1e-5)
    csd, n_csd = csd_sums(x, plan, good)
    want_csd, n_want = reference.csd_sums(x, 100.0, n_per_seg, step, window, good)
    assert n_csd == n_want or not n_channels
    np.testing.assert_allclose(csd, want_csd, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("window", ["hann", "hamming"])
@pytest.mark.parametrize("n_per_seg", [500, 501])
def test_agrees_with_mne_and_scipy(window, n_per_seg):
    rng = np.random.default_rng(5)
    x = np.cumsum(rng.standard_normal((3, 20000)), axis=1).astype(np.float32)
    plan = WelchPlan(250.0, n_per_seg, n_per_seg - 250, window)
    power, count = welch_sums(x, plan, n_threads=2)
    theirs, freqs = mne.time_frequency.psd_array_welch(
        x.astype(np.float64),
        250.0,
        fmax=125.0,
        n_fft=n_per_seg,
        n_per_seg=n_per_seg,
        n_overlap=250,
        window=window,
        verbose=False,
    )
    np.testing.assert_allclose(plan.freqs, freqs)
    assert np.abs(power / count[:, None] / theirs - 1)[:, 1:].max() < 1e-5
    _, scipys = scipy.signal.welch(
        x.astype(np.float64), 250.0, window, n_per_seg, 250, detrend="constant"
    )
    assert np.abs(power / count[:, None] / scipys - 1)[:, 1:].max() < 1e-5


def test_parts_add_up_and_bad_samples_have_no_influence():
    rng = np.random.default_rng(6)
    x = rng.standard_normal((2, 4000)).astype(np.float32)
    plan = WelchPlan(100.0, 200, 200)
    whole, n = welch_sums(x, plan)
    a, n_a = welch_sums(x[:, :1600], plan)
    b, n_b = welch_sums(x[:, 1600:], plan)
    np.testing.assert_allclose(a + b, whole, rtol=1e-6)
    np.testing.assert_array_equal(n_a + n_b, n)
    good = np.ones(x.shape, dtype=bool)
    good[0, 1000:1100] = False
    other = x.copy()
    other[0, 1000:1100] = 1e6
    first, count = welch_sums(x, plan, good)
    second, _ = welch_sums(other, plan, good)
    np.testing.assert_array_equal(first, second)
    assert count.tolist() == [19, 20]


def test_known_truth_white_noise_and_a_sine():
    rng = np.random.default_rng(7)
    x = rng.standard_normal((1, 200000)).astype(np.float32)
    plan = WelchPlan(200.0, 400, 200)
    power, count = welch_sums(x, plan)
    assert (power / count[:, None])[0, 3:-3].mean() == pytest.approx(1 / 100, rel=0.02)
    t = np.arange(4000) / 200
    power, count = welch_sums(np.sin(2 * np.pi * 10 * t)[None].astype(np.float32), plan)
    assert (power[0] / count[0]).sum() * 0.5 == pytest.approx(0.5, rel=1e-3)


def test_csd_is_hermitian_keeps_phase_and_holds_the_power():
    t = np.arange(8000) / 200
    x = np.stack([np.cos(2 * np.pi * 10 * t), np.cos(2 * np.pi * 10 * t - 0.7)])
    plan = WelchPlan(200.0, 400, 200)
    csd, n = csd_sums(x.astype(np.float32), plan, fmin=10, fmax=10, n_threads=2)
    assert csd.shape == (1, 2, 2)
    np.testing.assert_allclose(csd, csd.conj().transpose(0, 2, 1))
    assert np.angle(csd[0, 0, 1]) == pytest.approx(0.7, abs=1e-4)
    power, _ = welch_sums(x.astype(np.float32), plan)
    np.testing.assert_allclose(csd[0].diagonal().real, power[:, 20], rtol=1e-5)
    assert n == plan.n_segments(8000)


def test_good_segments_of_a_short_signal():
    assert good_segments(np.ones((2, 5), bool), WelchPlan(1.0, 10, 5)).shape == (2, 0)


def test_bad_input_is_refused():
    plan = WelchPlan(100.0, 10, 5)
    with pytest.raises(KernelInputError, match="window"):
        WelchPlan(100.0, 10, 5, "boxcar")
    with pytest.raises(KernelInputError, match="segments"):
        WelchPlan(100.0, 10, 11)
    with pytest.raises(KernelInputError, match="float32"):
        welch_sums(np.zeros((2, 20)), plan)
    with pytest.raises(KernelInputError, match="good"):
        csd_sums(np.zeros((2, 20), np.float32), plan, np.ones((2, 19), bool))
