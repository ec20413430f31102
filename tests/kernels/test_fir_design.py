"""The FIR design against MNE's, and its own promises."""

from __future__ import annotations

import mne
import numpy as np
import pytest

from brainforge.errors import KernelInputError
from brainforge.kernels.fir_design import amplitude, design_fir, fit_band


@pytest.mark.parametrize(
    "sfreq, l_freq, h_freq, extra",
    [
        (1000.0, 1.0, 100.0, {}),
        (250.0, 1.0, 100.0, {}),
        (600.6, 1.0, 40.0, {}),
        (1200.0, 0.5, 150.0, {}),
        (1000.0, None, 40.0, {}),
        (1000.0, 1.0, None, {}),
        (1000.0, 3.0, 40.0, {"l_trans": 1.0, "h_trans": 5.0}),
    ],
)
def test_agrees_with_mne(sfreq, l_freq, h_freq, extra):
    named = {"l_trans": "l_trans_bandwidth", "h_trans": "h_trans_bandwidth"}
    theirs = mne.filter.create_filter(
        None,
        sfreq,
        l_freq,
        h_freq,
        fir_design="firwin",
        phase="zero",
        verbose=False,
        **{named[key]: value for key, value in extra.items()},
    )
    ours = design_fir(sfreq, l_freq, h_freq, **extra)
    assert len(ours) % 2 == 1
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)


def test_notches_agree_with_mne():
    theirs = mne.filter.create_filter(
        None,
        1000.0,
        [51.25, 101.25],
        [48.75, 98.75],
        l_trans_bandwidth=1.0,
        h_trans_bandwidth=1.0,
        verbose=False,
    )
    ours = design_fir(1000.0, None, None, notch=(50, 100))
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)


def test_length_given_agrees_with_mne():
    theirs = mne.filter.create_filter(None, 500.0, 2.0, 40.0, filter_length="5s", verbose=False)
    np.testing.assert_allclose(design_fir(500.0, 2.0, 40.0, length_s=5.0), theirs, atol=1e-12)


def test_band_pass_and_notches_are_one_response():
    taps = design_fir(250.0, 1.0, 100.0, h_trans=12.5, notch=(50, 100))
    assert len(taps) == 825  # 3.3 s
    np.testing.assert_allclose(taps, taps[::-1], atol=1e-15)
    gain = amplitude(taps, [0.0, 3.0, 10.0, 48.0, 50.0, 52.0, 90.0, 100.0, 115.0], 250.0)
    want = [0, 1, 1, 1, 0, 1, 1, 0, 0]
    np.testing.assert_allclose(gain, want, atol=3e-3)


def test_line_on_the_slope_of_the_band_is_brought_to_zero():
    taps = design_fir(250.0, 1.0, 45.0, h_trans=11.25, notch=(50,))
    assert abs(amplitude(taps, 50.0, 250.0)) < 5e-3
    assert amplitude(taps, 52.0, 250.0) > 0


def test_edges_that_do_not_fit_shrink():
    assert fit_band(250.0, 100.0) == (100.0, 25.0)
    assert fit_band(200.0, 100.0) == (80.0, 20.0)
    assert fit_band(250.0, 100.0, 50.0) == (100.0, 25.0)
    assert fit_band(250.0, 120.0, 10.0) == (100.0, 10.0)
    taps = design_fir(160.0, 1.0, 100.0)
    assert amplitude(taps, 60.0, 160.0) == pytest.approx(1, abs=3e-3)
    assert amplitude(taps, 79.9, 160.0) == pytest.approx(0, abs=2e-2)
    plain = design_fir(160.0, 1.0, 40.0)
    np.testing.assert_array_equal(design_fir(160.0, 1.0, 40.0, notch=(60, 120)), plain)


@pytest.mark.parametrize(
    "kwargs",
    [
        {"sfreq": 0.0, "l_freq": 1.0, "h_freq": 40.0},
        {"sfreq": np.nan, "l_freq": 1.0, "h_freq": 40.0},
        {"sfreq": 250.0, "l_freq": 40.0, "h_freq": 1.0},
        {"sfreq": 250.0, "l_freq": -1.0, "h_freq": 40.0},
        {"sfreq": 250.0, "l_freq": 200.0, "h_freq": None},
        {"sfreq": 250.0, "l_freq": 1.0, "h_freq": 40.0, "l_trans": 2.0},
        {"sfreq": 250.0, "l_freq": 1.0, "h_freq": 40.0, "l_trans": 0.0},
        {"sfreq": 250.0, "l_freq": 1.0, "h_freq": 40.0, "length_s": 0.5},
    ],
)
def test_bad_input_is_refused(kwargs):
    with pytest.raises(KernelInputError, match="expected"):
        design_fir(**kwargs)
