"""ZapLine against its definition, meegkit and planted mains."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainforge.errors import KernelInputError
from brainforge.kernels.zapline import chance_score, line_residual, line_waves, zapline
from tests.reference import zapline as reference

SFREQ = 250.0


def mains(n, rng, sfreq=SFREQ, f0=50.03):
    """Two sources with harmonics, whose amplitudes wander a little."""
    t = np.arange(n) / sfreq
    slow = 1 + 0.1 * np.sin(2 * np.pi * 0.07 * t)
    phase = rng.uniform(0, 6, (2, 2))
    return np.array(
        [
            slow * np.sin(2 * np.pi * f0 * t + a) + 0.3 * np.sin(4 * np.pi * f0 * t + b)
            for a, b in phase
        ]
    )


def simulated(n_channels=32, n=2500, seed=0, level=300.0):
    """Return brain-like data without and with mains, axes (channel, sample)."""
    rng = np.random.default_rng(seed)
    t = np.arange(n) / SFREQ
    sources = rng.standard_normal((6, n)).cumsum(axis=1) / 5
    sources[0] = 8 * np.sin(2 * np.pi * 10 * t) * (1 + 0.5 * np.sin(2 * np.pi * 0.2 * t))
    sources[1] = rng.standard_normal(n) * 5  # broadband, at the mains too
    brain = 50 * rng.standard_normal((n_channels, 6)) @ sources / 8
    brain += 30 * rng.standard_normal((n_channels, n))
    line = level * rng.standard_normal((n_channels, 2)) @ mains(n, rng)
    return brain, brain + line


def at(x, freq, width=0.6):
    """Return the power within ``width`` Hz of a frequency, axes (channel,)."""
    spectrum = np.abs(np.fft.rfft(x * np.hanning(x.shape[1]), axis=1)) ** 2
    freqs = np.fft.rfftfreq(x.shape[1], 1 / SFREQ)
    return spectrum[:, np.abs(freqs - freq) <= width].sum(axis=1)


def rms(x):
    return np.sqrt(np.mean(x**2))


@settings(derandomize=True, max_examples=25, deadline=None)
@given(
    n_channels=st.sampled_from([1, 2, 7, 33]),
    n=st.sampled_from([1000, 1501]),
    line_freq=st.sampled_from([50.0, 60.0]),
    n_remove=st.integers(0, 3),
    dtype=st.sampled_from([np.float32, np.float64]),
    seed=st.integers(0, 2**31),
)
def test_equals_its_definition(n_channels, n, line_freq, n_remove, dtype, seed):
    rng = np.random.default_rng(seed)
    x = (rng.standard_normal((n_channels, n_channels + 2)) @ rng.standard_normal(
        (n_channels + 2, n)
    )).astype(dtype)  # fmt: skip
    x += (
        5
        * rng.standard_normal((n_channels, 1))
        * np.sin(2 * np.pi * line_freq * np.arange(n) / SFREQ)
    )
    x = x.astype(dtype)
    got, fit = zapline(x, SFREQ, line_freq, n_remove=n_remove)
    n_remove = min(n_remove, n_channels)
    want, scores = reference.zapline(x, SFREQ, line_freq, n_remove)
    np.testing.assert_allclose(got, want, atol=1e-4 * np.abs(x).max())
    np.testing.assert_allclose(fit.scores[:n_channels], scores[: len(fit.scores)], atol=1e-4)


@pytest.mark.parametrize("period", [2.0, 5.0, 250 / 60, 20.0, 1000 / 60, 50.5])
@pytest.mark.parametrize("n", [1, 4, 37, 400])
def test_residual_equals_its_definition(period, n):
    x = np.random.default_rng(0).standard_normal((3, 2 * n))[:, ::2] + 100
    np.testing.assert_allclose(line_residual(x, period), reference.residual(x, period), atol=2e-6)


def test_removes_planted_mains_and_keeps_the_brain():
    brain, x = simulated()
    clean, fit = zapline(x.astype(np.float32), SFREQ, 50.0)
    assert fit.n_removed == 2
    for freq in (50.0, 100.0):
        line = at(x - brain, freq).sum()
        left = at(clean - brain, freq).sum()
        assert 10 * np.log10(line / left) > 20
        # and no hole where the brain's own 50 Hz was
        assert 0.7 < np.median(at(clean, freq) / at(brain, freq)) < 1.1
    for freq in (10.0, 25.0, 75.0):
        kept = at(clean, freq, 3).sum() / at(brain, freq, 3).sum()
        assert kept == pytest.approx(1, abs=0.05)
    # two directions of 32 lose what they had above the mains frequency
    assert rms(clean - brain) < 0.12 * rms(brain)


def test_leaves_data_without_mains_alone():
    brain, _ = simulated()
    clean, fit = zapline(brain.astype(np.float32), SFREQ, 50.0)
    assert fit.n_removed == 0
    np.testing.assert_array_equal(clean, brain.astype(np.float32))


def test_agrees_with_meegkit():
    from meegkit.dss import dss_line

    brain, x = simulated(level=1000.0)
    ours, _ = zapline(x, SFREQ, 50.0, n_remove=2)
    with contextlib.redirect_stdout(io.StringIO()):
        theirs = dss_line(x.T.copy(), 50.0, SFREQ, nremove=2)[0].T
    # both keep the brain; theirs takes the mean off
    theirs = theirs + x.mean(axis=1, keepdims=True)
    line = at(x - brain, 50.0).sum()
    assert at(ours - brain, 50.0).sum() < 1.2 * at(theirs - brain, 50.0).sum()
    assert at(ours - brain, 50.0).sum() < 1e-2 * line
    assert rms(ours - brain) < rms(theirs - brain)


def test_does_not_depend_on_units_or_rank():
    _, x = simulated(12)
    units = 10.0 ** np.arange(-6, 6)[:, None]
    want, fit = zapline(x, SFREQ, 50.0)
    got, same = zapline(x * units, SFREQ, 50.0)
    np.testing.assert_allclose(got / units, want, atol=2e-4 * want.std())
    assert same.n_removed == fit.n_removed == 2
    poor = np.vstack([x, x[:3], np.zeros((1, x.shape[1]))])
    got, fit = zapline(poor, SFREQ, 50.0)
    assert fit.n_removed == 2
    np.testing.assert_allclose(got[:12], want, atol=2e-2 * want.std())
    assert not got[-1].any()


def test_chance_is_what_noise_gives():
    rng = np.random.default_rng(4)
    n, n_channels = 2000, 60
    waves = line_waves(n, SFREQ, 50.0, 0.5).astype(np.float64)
    np.testing.assert_allclose(waves @ waves.T, np.eye(len(waves)), atol=1e-5)
    x = np.linalg.qr(rng.standard_normal((n, n_channels)))[0].T
    best = np.linalg.svd(waves @ x.T, compute_uv=False)[0] ** 2
    assert best == pytest.approx(chance_score(n, n_channels, len(waves)), rel=0.1)
    assert chance_score(10, 8, 4) == 1.0


def test_empty_and_tiny():
    for shape in ((0, 100), (3, 0), (3, 1), (3, 4)):
        clean, fit = zapline(np.zeros(shape, np.float32), SFREQ, 50.0)
        assert clean.shape == shape
        assert fit.n_removed == 0


def test_bad_input_is_refused():
    x = np.zeros((3, 500), np.float32)
    for args, options, text in (
        ((x.astype(int), SFREQ, 50.0), {}, "x: expected float32"),
        ((x, SFREQ, 130.0), {}, "line_freq"),
        ((x, SFREQ, 50.0), {"n_remove": -1}, "n_remove"),
        ((np.full_like(x, np.nan), SFREQ, 50.0), {}, "finite"),
    ):
        with pytest.raises(KernelInputError, match=text):
            zapline(*args, **options)
    with pytest.raises(KernelInputError, match="period"):
        line_residual(x, 1.0)
