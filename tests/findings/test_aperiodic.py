import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainforge.errors import InputError
from brainforge.findings.aperiodic import fit_spectrum

FREQS = np.arange(0, 60.01, 0.5)


def spectrum(exponent, peaks, noise=0.0, seed=0, freqs=FREQS):
    f = np.maximum(freqs, freqs[1])
    log = 3 - exponent * np.log10(f)
    for centre, height, sd in peaks:
        log = log + height * np.exp(-0.5 * ((f - centre) / sd) ** 2)
    return 10 ** (log + np.random.default_rng(seed).normal(0, noise, len(f)))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    exponent=st.floats(0.3, 2.5),
    centre=st.floats(7.5, 12.5),
    height=st.floats(0.3, 1.2),
    sd=st.floats(0.8, 2.0),
)
def test_planted_peak_and_exponent_come_back(exponent, centre, height, sd):
    psd = spectrum(exponent, [(centre, height, sd), (21.0, 0.3, 2.5)], noise=0.01)
    fit = fit_spectrum(FREQS, psd)
    best = max(fit.peaks, key=lambda p: p.height if 6 < p.centre < 14 else 0)
    assert best.centre == pytest.approx(centre, abs=0.15)
    assert best.height == pytest.approx(height, abs=0.12)
    assert fit.exponent == pytest.approx(exponent, abs=0.12)


def test_agrees_with_specparam():
    from specparam import SpectralModel

    for seed in range(8):
        rng = np.random.default_rng(seed)
        exponent, centre = rng.uniform(0.5, 2), rng.uniform(8, 12)
        psd = spectrum(exponent, [(centre, 0.7, 1.2), (20, 0.3, 2.0)], noise=0.03, seed=seed)
        ours = fit_spectrum(FREQS, psd, min_height=0.1, widths=(0.5, 6.0))
        peer = SpectralModel(
            peak_width_limits=[1.0, 12.0], max_n_peaks=6, min_peak_height=0.1, verbose=False
        )
        peer.fit(FREQS[1:], psd[1:], [2, 40])
        theirs = np.atleast_2d(peer.get_params("periodic"))
        near = theirs[np.argmin(np.abs(theirs[:, 0] - centre))]
        mine = min(ours.peaks, key=lambda p: abs(p.centre - centre))
        assert mine.centre == pytest.approx(near[0], abs=0.05)
        assert mine.height == pytest.approx(near[1], abs=0.05)
        assert ours.exponent == pytest.approx(peer.get_params("aperiodic")[-1], abs=0.03)


def test_pure_background_has_no_peak_of_note():
    for seed in range(10):
        fit = fit_spectrum(FREQS, spectrum(1.2, [], noise=0.03, seed=seed))
        assert all(p.height < 0.15 for p in fit.peaks)
        assert fit.exponent == pytest.approx(1.2, abs=0.1)


def test_exact_background():
    fit = fit_spectrum(FREQS, spectrum(1.0, []))
    assert fit.peaks == ()
    np.testing.assert_allclose(fit.model, fit.log_power, atol=1e-9)


@pytest.mark.parametrize("bad", [np.zeros(len(FREQS)), np.full(len(FREQS), np.nan)])
def test_nothing_to_fit_is_refused(bad):
    with pytest.raises(InputError, match="at least 8 positive bins"):
        fit_spectrum(FREQS, bad)


def test_fit_is_that_of_scipy():
    from scipy.optimize import least_squares

    from brainforge.findings.aperiodic import Peak, _refine, gaussians

    rng = np.random.default_rng(5)
    for _ in range(20):
        true = (
            Peak(rng.uniform(7, 12), rng.uniform(0.2, 1), rng.uniform(0.7, 2)),
            Peak(rng.uniform(17, 25), rng.uniform(0.2, 1), rng.uniform(1, 4)),
        )
        flat = gaussians(FREQS, true) + rng.normal(0, 0.03, len(FREQS))
        guess = tuple(Peak(p.centre + 0.4, p.height * 0.8, 1.2) for p in true)
        ours = _refine(FREQS, flat, guess, (0.5, 6.0))
        start = np.array([[p.centre, p.height, p.width] for p in guess]).ravel()

        def misfit(x, flat=flat):
            peaks = tuple(Peak(*row) for row in x.reshape(-1, 3))
            return gaussians(FREQS, peaks) - flat

        theirs = least_squares(misfit, start, xtol=1e-12, ftol=1e-12).x
        mine = np.array([[p.centre, p.height, p.width] for p in ours]).ravel()
        np.testing.assert_allclose(mine, theirs, rtol=1e-4)
