"""Mains lines as sinusoids: known truth, and a real recording of one second."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainforge.errors import KernelInputError
from brainforge.kernels.psd import WelchPlan, welch_sums
from brainforge.kernels.sinusoids import estimate_line_freq, line_excess_db, remove_lines


def mains(rng, n, sfreq, f0, n_channels=6, top=200):
    t = np.arange(n) / sfreq
    x = np.zeros((n_channels, n))
    for h in range(1, int(top / f0) + 1):
        size = rng.uniform(50, 200, (n_channels, 1)) / h
        x += size * np.cos(2 * np.pi * f0 * h * t + rng.uniform(0, 6, (n_channels, 1)))
    return x


def spectrum(x, sfreq):
    plan = WelchPlan(sfreq, x.shape[1], x.shape[1])
    power, _ = welch_sums((x - x.mean(axis=1, keepdims=True)).astype(np.float32), plan)
    return plan.freqs, power


@settings(max_examples=20, derandomize=True, deadline=None)
@given(
    f0=st.floats(49.8, 50.2) | st.floats(59.8, 60.2),
    seconds=st.floats(0.6, 9.0),
    sfreq=st.sampled_from([600.6, 1000.0, 1200.0]),
    seed=st.integers(0, 99),
)
def test_finds_the_frequency_and_leaves_the_rest(f0, seconds, sfreq, seed):
    rng = np.random.default_rng(seed)
    n = round(seconds * sfreq)
    rest = 5 * rng.standard_normal((6, n)) + 100 * np.linspace(-1, 1, n)
    lines = mains(rng, n, sfreq, f0)
    cleaned, found = remove_lines(rest + lines, sfreq, float(round(f0, -1)), f_max=220)
    assert found == pytest.approx(f0, abs=0.02 / seconds)
    error = np.sqrt(np.mean((cleaned - rest) ** 2, axis=1))
    assert error.max() < 2.5  # what noise of 5 leaves in the coefficients, at the most


def test_wandering_mains_is_followed():
    rng = np.random.default_rng(1)
    t = np.arange(9000) / 1000
    phase = 2 * np.pi * (50 * t + 0.005 * t**2)
    noise = rng.standard_normal((4, 9000))
    cleaned, _ = remove_lines(noise + 100 * np.cos(phase), 1000.0, 50.0)
    assert np.sqrt(np.mean((cleaned - noise) ** 2)) < 1.0  # of 71: by 37 dB


def test_float32_and_constant_channels():
    rng = np.random.default_rng(2)
    x = mains(rng, 1000, 1000.0, 50.0).astype(np.float32)
    x[3] = 7
    cleaned, found = remove_lines(x, 1000.0, 50.0)
    assert cleaned.dtype == np.float32
    np.testing.assert_allclose(cleaned[3], 7, atol=1e-4)
    assert np.abs(cleaned[[0, 1, 2, 4, 5]]).max() < 0.05
    assert found == pytest.approx(50, abs=1e-3)
    flat, found = remove_lines(np.full((2, 500), 3.0), 1000.0, 60.0)
    assert (flat == 3).all()
    assert found == 60.0
    assert remove_lines(np.zeros((0, 500)), 1000.0, 60.0)[0].shape == (0, 500)


@pytest.mark.parametrize(
    "data, line_freq",
    [
        (np.zeros((2, 90)), 50.0),
        (np.zeros((2, 1000)), 600.0),
        (np.zeros((2, 1000)), 0.0),
        (np.full((2, 1000), np.nan), 50.0),
        (np.zeros((2, 1000), np.int16), 50.0),
        (np.zeros(1000), 50.0),
    ],
)
def test_bad_input_is_refused(data, line_freq):
    with pytest.raises(KernelInputError, match="expected"):
        remove_lines(data, 1000.0, line_freq)


@pytest.mark.parametrize("f0, want", [(50.02, 50.0), (59.97, 60.0), (None, None)])
@pytest.mark.parametrize("n", [1000, 4000])
def test_line_frequency_is_estimated(f0, want, n):
    rng = np.random.default_rng(3)
    x = np.cumsum(rng.standard_normal((20, 30000)), axis=1) + 3 * rng.standard_normal((20, 30000))
    if f0 is not None:
        x += mains(rng, 30000, 1000.0, f0, 20) / 50
    plan = WelchPlan(1000.0, n, n // 2)
    power, _ = welch_sums(x.astype(np.float32), plan)
    assert estimate_line_freq(plan.freqs, power) == want


def test_spectra_without_lines_or_of_wrong_shape():
    assert estimate_line_freq(np.arange(40.0), np.ones((2, 40))) is None
    assert np.isnan(line_excess_db(np.arange(40.0), np.ones((2, 40)), 50.0)).all()
    with pytest.raises(KernelInputError, match="psd"):
        estimate_line_freq(np.arange(40.0), np.ones((2, 41)))


def read_cmeg(path):
    """Return what the .cMEG blocks hold, axes (row, sample)."""
    raw, at, blocks = path.read_bytes(), 0, []
    while at < len(raw):
        rows, columns = (int(v) for v in np.frombuffer(raw, ">u4", 2, at))
        blocks.append(np.frombuffer(raw, ">f8", rows * columns, at + 8).reshape(rows, columns))
        at += 8 + 8 * rows * columns
    return np.concatenate(blocks, axis=1).astype(np.float64)


@pytest.mark.shared_data
def test_one_second_of_real_opm(shared_data):
    rows = read_cmeg(shared_data / "opm_cerca64_raw" / "20220623_095714.cMEG")
    np.testing.assert_allclose(np.diff(rows[0]), 1 / 1200, atol=1e-5)
    x = rows[9:] / 2.7 * 1e6  # volts to femtotesla
    assert x.shape == (128, 1200)
    freqs, before = spectrum(x, 1200.0)
    assert estimate_line_freq(freqs, before) == 50.0
    cleaned, found = remove_lines(x, 1200.0, 50.0)
    assert found == pytest.approx(50, abs=0.3)
    after = spectrum(cleaned, 1200.0)[1]
    for f in range(50, 600, 50):
        assert line_excess_db(freqs, before.mean(axis=0)[None], f) > 6
        assert line_excess_db(freqs, after.mean(axis=0)[None], f) <= 3
