from __future__ import annotations

import numpy as np
import pytest

from brainforge.errors import KernelInputError
from brainforge.kernels.classify import (
    Thresholds,
    focality,
    frontal_share,
    line_ratio_db,
    line_share,
    power_spectra,
    reference_correlation,
    spectral_slope,
    verdict,
)

SFREQ = 250.0


def _coloured(exponent, n, rng):
    """Return noise whose power goes as frequency to the exponent."""
    spectrum = rng.normal(size=n // 2 + 1) + 1j * rng.normal(size=n // 2 + 1)
    freqs = np.fft.rfftfreq(n, 1 / SFREQ)
    spectrum[1:] *= freqs[1:] ** (exponent / 2)
    spectrum[0] = 0
    return np.fft.irfft(spectrum, n)


def test_spectra_equal_scipy_and_do_not_cross_runs():
    from scipy.signal import welch

    x = np.random.default_rng(0).normal(size=(3, 10_000))
    freqs, psd = power_spectra(x, SFREQ)
    want_freqs, want = welch(x, SFREQ, nperseg=500, noverlap=250)
    np.testing.assert_allclose(freqs, want_freqs)
    np.testing.assert_allclose(psd[:, 1:], want[:, 1:], rtol=1e-5)
    runs = np.array([[0, 4_000], [5_000, 10_000]])
    x[:, 4_000:5_000] = np.nan
    assert np.isfinite(power_spectra(x, SFREQ, runs=runs)[1]).all()
    assert np.isnan(power_spectra(x[:, :100], SFREQ)[1]).all()


@pytest.mark.parametrize("exponent", [-2.0, -1.0, 0.0, 1.0])
def test_slope_is_the_exponent(exponent):
    rng = np.random.default_rng(1)
    x = np.array([_coloured(exponent, 60_000, rng)])
    freqs, psd = power_spectra(x, SFREQ)
    assert spectral_slope(freqs, psd)[0] == pytest.approx(exponent, abs=0.1)
    psd[:, np.abs(freqs - 50) < 2] *= 1e4
    assert spectral_slope(freqs, psd, line_freq=50.0)[0] == pytest.approx(exponent, abs=0.1)
    assert np.isnan(spectral_slope(freqs, psd, 7.0, 7.5)[0])


def test_mains_are_measured():
    rng = np.random.default_rng(2)
    t = np.arange(60_000) / SFREQ
    x = rng.normal(size=(2, len(t)))
    x[1] += 5 * np.sin(2 * np.pi * 50 * t)
    freqs, psd = power_spectra(x, SFREQ)
    ratio = line_ratio_db(freqs, psd, 50.0, 100.0)
    assert ratio[0] < 3
    assert ratio[1] > 25
    share = line_share(freqs, psd, 50.0)
    assert share[1] == pytest.approx(12.5 / 13.5, abs=0.03)
    assert np.isneginf(line_ratio_db(freqs, psd, 200.0, 100.0)).all()


def test_topographies():
    fields = np.zeros((10, 3))
    fields[3, 0], fields[:, 1], fields[9, 2] = 5.0, -2.0, 1.0
    np.testing.assert_allclose(focality(fields), [0.1, 1.0, 0.1])
    positions = np.c_[np.zeros(10), np.arange(10.0), np.zeros(10)]
    np.testing.assert_allclose(frontal_share(fields, positions), [0.0, 0.3, 1.0])
    positions[:5] = np.nan
    assert np.isnan(frontal_share(fields, positions)).all()


def test_correlation_is_taken_in_the_blink_band_and_within_runs():
    rng = np.random.default_rng(3)
    t = np.arange(10_000) / SFREQ
    slow = np.sin(2 * np.pi * 3 * t)
    x = np.array([slow + np.sin(2 * np.pi * 40 * t), rng.normal(size=len(t))])
    reference = -slow[None].copy()
    r = reference_correlation(x, reference, SFREQ)
    assert r[0] > 0.99
    assert r[1] < 0.2
    runs = np.array([[0, 5_000]])
    reference[:, 5_000:] = 1e6
    assert reference_correlation(x, reference, SFREQ, runs=runs)[0] > 0.99
    with pytest.raises(KernelInputError, match="samples"):
        reference_correlation(x, reference[:, :10], SFREQ)


@pytest.mark.parametrize(
    ("scores", "kind", "word"),
    [
        ({"ecg_locked": 0.9, "ecg_phase": 0.9, "ecg_log10_p": -10.0}, "ecg", "heartbeats"),
        ({"ecg_locked": 0.9, "ecg_phase": 0.9, "ecg_log10_p": -1.0}, "other", "No artifact"),
        ({"ecg_locked": 0.05, "ecg_phase": 0.9, "ecg_log10_p": -10.0}, "other", "No artifact"),
        ({"eog_correlation": 0.8}, "eog", "EOG"),
        ({"eog_locked": 0.8, "eog_frontal": 0.6}, "eog", "blinks"),
        ({"eog_locked": 0.8, "eog_frontal": 0.1}, "other", "No artifact"),
        ({"eog_locked": 0.8, "eog_frontal": np.nan}, "other", "No artifact"),
        ({"muscle_slope": 0.8, "muscle_spread": 0.1, "muscle_channels": 9.0}, "muscle", "muscle"),
        ({"muscle_slope": 0.8, "muscle_spread": 0.6, "muscle_channels": 60.0}, "other", ""),
        ({"muscle_slope": 0.1, "muscle_spread": 0.01, "muscle_channels": 1.0}, "other", ""),
        ({"line_db": 30.0, "line_share": 0.8}, "line", "Mains"),
        ({"line_db": 30.0, "line_share": 0.01}, "other", "No artifact"),
        ({}, "other", "No score"),
    ],
)
def test_verdicts_name_the_score_and_the_threshold(scores, kind, word):
    what = verdict(scores, Thresholds())
    assert what.kind == kind
    assert word in what.reason
