"""Multitaper spectra against MNE and a known line."""

from __future__ import annotations

import mne
import numpy as np
import pytest
from scipy.signal.windows import dpss

from brainforge.errors import KernelInputError
from brainforge.kernels.multitaper_psd import MultitaperPlan, multitaper_sums


@pytest.mark.parametrize("n", [1000, 1001])
def test_agrees_with_mne(n):
    x = np.random.default_rng(2).standard_normal((4, n)).astype(np.float32)
    plan = MultitaperPlan(250.0, n, n, 4.0, 8)
    ours, count = multitaper_sums(x, plan)
    want, freqs = mne.time_frequency.psd_array_multitaper(
        x.astype(float), 250.0, bandwidth=8 * 250.0 / n, low_bias=False, adaptive=False,
        normalization="full", verbose=False,
    )  # fmt: skip
    # MNE takes periodic tapers, cut from a longer one, to have an energy of one
    raw, ratios = dpss(n, 4.0, 8, sym=False, return_ratios=True)
    want /= np.average((raw**2).sum(axis=1), weights=ratios)
    np.testing.assert_allclose(plan.freqs, freqs)
    assert count.tolist() == [1] * 4
    np.testing.assert_allclose(ours, want, rtol=0, atol=2e-5 * want.max())


def test_the_power_of_a_sinusoid_is_in_its_band():
    t = np.arange(2000) / 250.0
    x = (3 * np.sin(2 * np.pi * 20.0 * t)).astype(np.float32)[None]
    plan = MultitaperPlan(250.0, 500, 250)
    power, count = multitaper_sums(x, plan)
    density = power[0] / count[0]
    total = density.sum() * (plan.freqs[1] - plan.freqs[0])
    inside = density[np.abs(plan.freqs - 20.0) <= 2.0].sum() / density.sum()
    assert total == pytest.approx(4.5, rel=0.01)
    assert inside > 0.98


def test_bad_input_is_named():
    x = np.zeros((2, 300), np.float32)
    with pytest.raises(KernelInputError, match="500 samples, got 300"):
        multitaper_sums(x, MultitaperPlan(250.0, 500, 250))
    with pytest.raises(KernelInputError, match="float64"):
        multitaper_sums(x.astype(float), MultitaperPlan(250.0, 100, 50))
    with pytest.raises(KernelInputError, match="tapers"):
        multitaper_sums(x, MultitaperPlan(250.0, 100, 50, 4.0, 9))
