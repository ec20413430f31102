"""Overlap-save against the plain convolution."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainforge.errors import KernelInputError
from brainforge.kernels.fir_design import design_fir
from brainforge.kernels.overlap_save import FirPlan, good_length, overlap_save
from tests.reference import fir as reference


@settings(max_examples=40, derandomize=True, deadline=None)
@given(
    half=st.integers(0, 60),
    block=st.integers(1, 400),
    n_channels=st.integers(0, 5),
    n_out=st.integers(0, 900),
)
def test_equals_the_convolution(half, block, n_channels, n_out):
    rng = np.random.default_rng(half + n_out)
    taps = rng.standard_normal(2 * half + 1)
    taps += taps[::-1]
    x = rng.standard_normal((n_channels, n_out + 2 * half)).astype(np.float32)
    got = overlap_save(x, FirPlan(taps, block))
    assert got.shape == (n_channels, n_out)
    if got.size:
        want = reference.convolve_valid(x, taps)
        size = np.abs(taps).sum()
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-6 * size)


def test_full_rate_filter_within_1e_6_of_float64():
    rng = np.random.default_rng(1)
    taps = design_fir(1000.0, 1.0, 100.0, notch=(50, 100))
    x = rng.standard_normal((3, 20000)).astype(np.float32)
    got = overlap_save(x, FirPlan(taps, 10000))
    want = reference.convolve_valid(x, taps)
    assert np.linalg.norm(got - want) / np.linalg.norm(want) < 1e-6


def test_threads_and_strided_rows_change_no_bit():
    rng = np.random.default_rng(2)
    taps = design_fir(250.0, 1.0, 40.0)
    plan = FirPlan(taps, 1000)
    x = rng.standard_normal((40, 6000)).astype(np.float32)
    whole = overlap_save(x, plan)
    np.testing.assert_array_equal(overlap_save(x, plan, n_threads=2), whole)
    wide = np.zeros((40, 8000), np.float32)
    wide[:, 1000:7000] = x
    out = np.empty_like(whole)
    overlap_save(wide[:, 1000:7000], plan, out=out)
    np.testing.assert_array_equal(out, whole)


def test_lengths_are_no_power_of_two():
    for n in range(64, 5000, 37):
        length = good_length(n)
        assert length >= n
        assert length & (length - 1)
    assert good_length(4096) < 4400


@pytest.mark.parametrize("taps", [[1.0, 1.0], [1.0, 2.0, 3.0], [[1.0]]])
def test_bad_taps_are_refused(taps):
    with pytest.raises(KernelInputError, match="symmetric"):
        FirPlan(np.array(taps), 10)


def test_bad_input_is_refused():
    plan = FirPlan(np.ones(5), 10)
    with pytest.raises(KernelInputError, match="block"):
        FirPlan(np.ones(5), 0)
    with pytest.raises(KernelInputError, match="float32"):
        overlap_save(np.zeros((2, 10)), plan)
    with pytest.raises(KernelInputError, match="at least 4"):
        overlap_save(np.zeros((2, 3), np.float32), plan)
    with pytest.raises(KernelInputError, match="out"):
        overlap_save(np.zeros((2, 10), np.float32), plan, out=np.zeros((2, 5), np.float32))


@pytest.mark.parametrize("n_channels", [1, 15, 16, 17, 40])
def test_a_channel_does_not_depend_on_the_others(n_channels):
    rng = np.random.default_rng(n_channels)
    plan = FirPlan(design_fir(250.0, 1.0, 40.0), 500)
    x = rng.standard_normal((n_channels, 1777)).astype(np.float32)
    whole = overlap_save(x, plan)
    for row in (0, n_channels // 2, n_channels - 1):
        np.testing.assert_array_equal(overlap_save(x[row : row + 1], plan)[0], whole[row])
    every_other = np.zeros((n_channels, 2 * whole.shape[1]), np.float32)
    overlap_save(x, plan, out=every_other[:, ::2])
    np.testing.assert_array_equal(every_other[:, ::2], whole)
