"""The two-stage design keeps aliases out and meets its target."""

from __future__ import annotations

import numpy as np
import pytest

from brainforge.errors import KernelInputError
from brainforge.kernels.fir_design import amplitude, design_fir
from brainforge.kernels.two_stage import design_two_stage

RATES = [(1000.0, 4), (1000.0, 3), (1000.0, 2), (1200.0, 4), (2400.0, 9), (600.6, 2), (5000.0, 20)]


@pytest.mark.parametrize("sfreq, k", RATES)
def test_response_meets_the_target_and_aliases_stay_out(sfreq, k):
    design = design_two_stage(sfreq, k, 1.0, 100.0, notch=(50, 100))
    fw = sfreq / k
    band = np.linspace(0, 100, 2001)
    error = design.response(band) - amplitude(design.target, band, fw)
    assert np.abs(error).max() < 1e-5
    above = np.linspace(fw / 2, sfreq / 2, 6001)
    lands = np.abs(above - np.round(above / fw) * fw)
    aliases = np.abs(design.response(above))[lands <= 100]
    assert 20 * np.log10(aliases.max(initial=1e-12)) <= -80
    stop = np.linspace(100 + min(25, (fw / 2 - 100) / 2), fw / 2, 400)
    assert np.abs(design.response(stop)).max() < 5e-3


def test_lengths_at_one_kilohertz():
    design = design_two_stage(1000.0, 4, 1.0, 100.0)
    assert len(design.h1) <= 112
    assert len(design.target) == 825
    assert len(design.h2) < 1000
    assert len(design.impulse()) == 2 * design.half_length + 1


def test_without_decimation_it_is_the_plain_design():
    design = design_two_stage(1000.0, 1, 1.0, 100.0)
    np.testing.assert_array_equal(design.h1, [1.0])
    np.testing.assert_array_equal(design.h2, design_fir(1000.0, 1.0, 100.0))


@pytest.mark.parametrize("k", [0, -1, 1.5])
def test_bad_factor_is_refused(k):
    with pytest.raises(KernelInputError, match="whole number"):
        design_two_stage(1000.0, k, 1.0, 100.0)


def test_a_band_that_cannot_be_kept_clean_shrinks():
    design = design_two_stage(1000.0, 10, 1.0, 100.0)  # 100 Hz output
    assert design.response(np.array([35.0]))[0] == pytest.approx(1, abs=5e-3)


def test_a_decimation_needs_an_upper_edge():
    with pytest.raises(KernelInputError, match="h_freq"):
        design_two_stage(1000.0, 4, 1.0, None)
