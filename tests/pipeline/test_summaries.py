"""Band power, mains level and noise floor on spectra with known answers."""

from __future__ import annotations

import numpy as np

from brainforge.pipeline.summaries import band_power, line_level_db, noise_floor
from brainforge.result import Spectra

FREQS = np.arange(0, 125.01, 0.5)


def test_band_power_is_the_integral_over_the_band() -> None:
    psd = np.full((2, len(FREQS)), 3.0)
    psd[1] = 0.0
    spectra = Spectra(("a", "b"), ("fT", "fT"), FREQS, psd, psd)
    power = band_power(spectra, {"alpha": (8.0, 13.0), "beta": (13.0, 30.0), "far": (100.0, 200.0)})
    assert list(power.bands) == ["alpha", "beta"]
    np.testing.assert_allclose(power.absolute[:, 0], [15.0, 51.0])
    np.testing.assert_allclose(power.relative[:, 0], [15 / 66, 51 / 66])
    assert np.isnan(power.relative[:, 1]).all()


def test_the_mains_line_stands_over_its_neighbours_by_what_was_put_in() -> None:
    psd = np.full((1, len(FREQS)), 4.0)
    psd[0, FREQS == 50] = 400.0
    np.testing.assert_allclose(line_level_db(FREQS, psd, 50.0), 20.0)
    assert np.isnan(line_level_db(FREQS, psd, None)).all()
    assert np.isnan(line_level_db(FREQS, psd, 120.0)).all()


def test_the_noise_floor_leaves_the_mains_line_out() -> None:
    psd = np.full((1, len(FREQS)), 225.0)
    psd[0, np.abs(FREQS - 60) <= 2] = 1e6
    np.testing.assert_allclose(noise_floor(FREQS, psd, 60.0), 15.0)
    assert np.isnan(noise_floor(FREQS[:50], psd[:, :50], None)).all()
