"""Sliding spectra, fading cross-spectra and coherence against whole transforms in float64."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from brainforge.errors import KernelInputError
from brainforge.kernels.rolling import RollingPlan, RollingState, psd_of, roll
from brainforge.kernels.rolling_csd import CsdState, add_csd, band_coherence, band_csd
from tests.reference import rolling as reference

BANDS = ((2.0, 4.0), (4.0, 8.0), (8.0, 13.0), (13.0, 30.0))
PLAN = RollingPlan(100.0, 10, 20, BANDS)


def noise(n_channels=5, n=600, seed=0):
    rng = np.random.default_rng(seed)
    mix = rng.standard_normal((n_channels, n_channels)) + 2 * np.eye(n_channels)
    return (mix @ rng.standard_normal((n_channels, n))).astype(np.float32)


def run(x, plan=PLAN, keep=1.0, good=None, first=0):
    state, csd = RollingState.empty(plan, len(x)), CsdState.empty(plan, len(x))
    spectra = None
    for h in range(x.shape[1] // plan.hop):
        fine = None if good is None else good[:, h]
        spectra = roll(state, plan, x[:, h * plan.hop : (h + 1) * plan.hop], first + h, fine)
        full = state.age >= plan.n_hops
        if full.any():
            add_csd(csd, plan, spectra, keep, full)
    return state, csd, spectra


def as_complex(spectra, plan, band):
    rows = plan.rows[band]
    half = (rows.stop - rows.start) // 2
    return (spectra[rows][:half] + 1j * spectra[rows][half:]).T


@settings(derandomize=True, max_examples=15, deadline=None)
@given(
    n_channels=st.integers(0, 20),
    hop=st.sampled_from([1, 7, 10]),
    n_hops=st.sampled_from([20, 33]),
    first=st.sampled_from([0, 13]),
    seed=st.integers(0, 2**31),
)
def test_spectra_equal_those_of_the_whole_window(n_channels, hop, n_hops, first, seed):
    plan = RollingPlan(2.0 * hop * n_hops, hop, n_hops, ((8.0, 9.0), (2.0, 8.0)))
    x = noise(n_channels, 3 * hop * n_hops + hop, seed)
    _, _, spectra = run(x, plan, first=first)
    n = plan.n_window
    # the last window begins where the absolute count of samples says
    start = first * hop + x.shape[1] - n
    want = reference.window_spectra(x[:, -n:], plan.sfreq, start)
    size = np.abs(want).max(initial=1e-30)
    for band, bins in enumerate(plan.band_bins):
        got = as_complex(spectra, plan, band)
        np.testing.assert_allclose(got, want[:, bins], atol=2e-6 * size)


@pytest.mark.parametrize("keep", [1.0, 0.9])
def test_cross_spectra_and_coherence_equal_their_definition(keep):
    x = noise(21, 900)
    _, csd, _ = run(x, keep=keep)
    want = reference.fading_csd(x, 100.0, 10, 20, BANDS, keep)
    got = band_csd(csd)
    np.testing.assert_allclose(got, want, atol=2e-6 * np.abs(want).max())
    np.testing.assert_allclose(got, got.conj().transpose(0, 2, 1))
    coherence, imaginary, wpli = band_coherence(csd)
    np.testing.assert_allclose(coherence, reference.coherence(want), atol=5e-6)
    power = np.sqrt(np.einsum("bii->bi", want).real)
    i, j = np.triu_indices(21, 1)
    imcoh = want.imag[:, i, j] / (power[:, i] * power[:, j])
    np.testing.assert_allclose(imaginary, imcoh, atol=5e-6)
    wanted = reference.fading_wpli(x, 100.0, 10, 20, BANDS, keep)
    np.testing.assert_allclose(wpli, wanted, atol=5e-5)


def test_agrees_with_welch():
    x = noise(3, 20000)
    _, csd, spectra = run(x)
    freqs, want = signal.csd(
        x[0].astype(float), x[1].astype(float), 100.0, nperseg=200, noverlap=190, detrend=False
    )
    for band, (low, high) in enumerate(BANDS):
        some = want[(freqs >= low) & (freqs <= high)].sum()
        # SciPy conjugates the first
        assert band_csd(csd)[band, 1, 0] == pytest.approx(some, rel=1e-4)
    assert psd_of(spectra, PLAN).shape == (3, 4)


def test_the_window_moves_for_hours_without_losing_digits():
    x = noise(2, 200) * 1e4
    state = RollingState.empty(PLAN, 2)
    for h in range(20000):
        roll(state, PLAN, x[:, (h % 20) * 10 : (h % 20) * 10 + 10], h)
    fresh = RollingState.empty(PLAN, 2)
    for h in range(20):
        spectra = roll(fresh, PLAN, x[:, h * 10 : h * 10 + 10], h)
    np.testing.assert_array_equal(state.spectra, spectra)


def test_planted_coherence_is_found_in_its_band():
    rng = np.random.default_rng(3)
    sos = signal.butter(4, (9, 12), "bandpass", fs=100.0, output="sos")
    common = signal.sosfilt(sos, rng.standard_normal(30000)) * 4
    x = rng.standard_normal((4, 30000))
    x[1] += common
    x[2] += np.roll(common, 3)
    got = band_coherence(run(x.astype(np.float32))[1])[0]
    pair = {p: i for i, p in enumerate(zip(*np.triu_indices(4, 1)))}
    assert got[2, pair[1, 2]] > 0.7
    assert got[[0, 3], pair[1, 2]].max() < 0.2
    assert got[:, pair[0, 3]].max() < 0.2


def test_a_bad_sample_reaches_no_number():
    x = noise(4, 900)
    good = np.ones((4, 90), bool)
    good[2, 30:33] = False
    dirty = x.copy()
    dirty[2, 300:330] = np.nan
    clean = x.copy()
    clean[2, 300:330] = 0
    got, same = run(dirty, good=good), run(clean, good=good)
    np.testing.assert_array_equal(band_coherence(got[1]), band_coherence(same[1]))
    assert np.isfinite(band_csd(got[1])).all()
    whole = reference.fading_csd(x[[0, 1, 3]], 100.0, 10, 20, BANDS, 1.0)
    rest = np.ix_(range(4), [0, 1, 3], [0, 1, 3])
    np.testing.assert_allclose(band_csd(got[1])[rest], whole, atol=2e-6 * np.abs(whole).max())
    # the masked channel: the windows before and after, and nothing between
    windows = [s for s in range(200, 901, 10) if s <= 300 or s >= 530]
    want = 0
    for stop in windows:
        found = reference.window_spectra(x[:, stop - 200 : stop], 100.0, stop - 200)
        some = found[:, PLAN.band_bins[2]]
        want = want + some @ some.conj().T / len(windows)
    np.testing.assert_allclose(band_csd(got[1])[2, 2], want[2], atol=2e-6 * np.abs(want).max())


def test_a_jump_begins_a_new_window():
    x = noise(2, 400)
    state = RollingState.empty(PLAN, 2)
    for h in range(20):
        roll(state, PLAN, x[:, h * 10 : h * 10 + 10], h)
    assert (state.age == 20).all()
    assert not roll(state, PLAN, x[:, :10], 25).any()
    for h in range(1, 20):
        spectra = roll(state, PLAN, x[:, h * 10 : h * 10 + 10], 25 + h)
    want = reference.window_spectra(x[:, :200], 100.0, 250)[:, PLAN.band_bins[1]]
    np.testing.assert_allclose(as_complex(spectra, PLAN, 1), want, atol=1e-5)


def test_weights_count_windows():
    csd = CsdState.empty(PLAN, 1)
    assert csd.n_windows() == 0
    for _ in range(2000):
        add_csd(csd, PLAN, np.zeros((2 * len(PLAN.middle), 1), np.float32), 0.99)
    assert csd.n_windows() == pytest.approx(1.99 / 0.01, rel=1e-3)
    for value in band_coherence(CsdState.empty(PLAN, 3)):
        assert value.tolist() == [[0.0] * 3] * 4


def test_bad_input_is_refused():
    state = RollingState.empty(PLAN, 3)
    x = np.zeros((3, 10), np.float32)
    for bands in (((0.0, 4.0),), ((10.0, 50.0),), ((4.1, 4.2),)):
        with pytest.raises(KernelInputError, match="bands"):
            RollingPlan(100.0, 10, 20, bands)
    with pytest.raises(KernelInputError, match="2 hops"):
        RollingPlan(100.0, 10, 1, BANDS)
    with pytest.raises(KernelInputError, match="x: expected float32"):
        roll(state, PLAN, x.astype(float), 0)
    roll(state, PLAN, x, 5)
    with pytest.raises(KernelInputError, match="6 or later"):
        roll(state, PLAN, x, 5)
    with pytest.raises(KernelInputError, match="x: expected finite"):
        roll(state, PLAN, x + np.float32("nan"), 6)
    assert not roll(state, PLAN, x, 6).any()
    csd = CsdState.empty(PLAN, 3)
    with pytest.raises(KernelInputError, match="spectra"):
        add_csd(csd, PLAN, x, 1.0)
    with pytest.raises(KernelInputError, match="keep"):
        add_csd(csd, PLAN, state.spectra, 0.0)
