"""Welch sums against the plain definition and MNE."""

from __future__ import annotations

import mne
import numpy as np
import pytest
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st

from brainforge.errors import KernelInputError
from brainforge.kernels.psd import WelchPlan, folded, good_segments, segment_power, welch_sums
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


@settings(max_examples=30, derandomize=True, deadline=None)
@given(
    cut=st.integers(0, 900),
    n_per_seg=st.integers(2, 90),
    step=st.integers(1, 90),
    seed=st.integers(0, 99),
)
def test_segments_across_two_arrays_rows_and_running_sums(cut, n_per_seg, step, seed):
    plan = WelchPlan(100.0, n_per_seg, min(step, n_per_seg))
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((5, 900)).astype(np.float32)
    rows = np.array([3, 0, 4])
    keep = rng.random((3, plan.n_segments(900))) > 0.3
    want = segment_power(x[rows], plan, keep)
    got = segment_power(
        x[:, cut:], plan, keep, rows=rows, first=-cut, before=x[:, :cut], n_threads=2
    )
    np.testing.assert_array_equal(got, want)
    half = keep.shape[1] // 4 * 2
    part = segment_power(x, plan, keep[:, :half], rows=rows)
    rest = segment_power(x, plan, keep[:, half:], rows=rows, first=half * plan.step, total=part)
    np.testing.assert_allclose(rest, want, rtol=1e-12, atol=1e-12)
    assert folded(want, plan).shape == (3, n_per_seg // 2 + 1)


def test_segments_left_out_are_not_read():
    x = np.full((1, 100), np.nan, np.float32)
    x[0, 40:60] = np.arange(20)
    plan = WelchPlan(100.0, 20, 20)
    keep = np.array([[False, False, True, False, False, False, False]])
    power = segment_power(x, plan, keep)
    assert np.isfinite(power).all()
    assert power.any()


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
    x = np.zeros((2, 20), np.float32)
    with pytest.raises(KernelInputError, match="good"):
        welch_sums(x, plan, np.ones((2, 19), bool))
    with pytest.raises(KernelInputError, match="keep"):
        segment_power(x, plan, np.ones((3, 1), bool))
    for first in (-1, 11):
        with pytest.raises(KernelInputError, match="segments inside 0 to 20"):
            segment_power(x, plan, np.ones((2, 1), bool), first=first)
