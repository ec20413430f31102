"""Which component shows the eyes: plain blinks, faint ones, and what is none."""

from __future__ import annotations

import numpy as np
import pytest

from brainforge.info import Channel, Info
from brainforge.kernels.band_limit import band_limit
from brainforge.learners.artifact_events import eye_source
from brainforge.learners.traces import Traces

SFREQ, N_CHANNELS, N_ROWS = 250.0, 40, 8
ANGLE = np.linspace(0, 2 * np.pi, N_CHANNELS, endpoint=False)
POSITIONS = 0.1 * np.c_[np.cos(ANGLE), np.sin(ANGLE), np.zeros(N_CHANNELS)]
FRONT = np.exp(-(((ANGLE - np.pi / 2) / 0.5) ** 2))


def noise(seed):
    """Return rows of brain-like noise, white among each other, of a minute."""
    rng = np.random.default_rng(seed)
    freqs = np.fft.rfftfreq(15_000, 1 / SFREQ)
    spectrum = rng.normal(size=(2, N_ROWS, len(freqs)))
    shaped = (spectrum[0] + 1j * spectrum[1]) * np.where(freqs >= 1, freqs.clip(1) ** -0.5, 0)
    x = np.fft.irfft(shaped, 15_000)
    return x / x.std(axis=1, keepdims=True)


def source_of(x, front_row):
    """Return what `eye_source` finds where one row's field is frontal."""
    fields = np.random.default_rng(1).normal(size=(N_CHANNELS, len(x)))
    fields[:, front_row] = FRONT
    traces = Traces(
        x.astype(np.float32), {}, {}, np.array([[0, x.shape[1]]]), np.zeros(1, np.int64)
    )
    info = Info(SFREQ, tuple(Channel(f"M{i}", "mag") for i in range(N_CHANNELS)))
    return eye_source(traces, info, "component", fields, POSITIONS)


def blinks(height, n):
    """Return ``n`` blinks of a height."""
    at = np.linspace(700, 14_300, n).astype(int)
    t = np.arange(15_000)
    return height * sum(np.exp(-(((t - a) / 20.0) ** 2)) for a in at)


@pytest.mark.parametrize("seed", range(5))
def test_plain_blinks_are_taken_as_they_are(seed):
    x = noise(seed)
    x[3] += blinks(12.0, 4)
    source = source_of(x, 3)
    assert source.label == "component 4"
    np.testing.assert_array_equal(source.weights, np.eye(N_ROWS)[3])


@pytest.mark.parametrize("seed", range(5))
def test_faint_blinks_are_sharpened(seed):
    x = noise(seed)
    blink = blinks(1.0, 10)
    x[3] += 4.5 * blink
    x[5] += 2.5 * blink
    source = source_of(x, 3)
    assert source.label == "component 4, sharpened on its blinks"
    assert np.abs(source.weights).argmax() == 3
    # what another component holds of the blinks adds to them
    share = source.weights[5] / source.weights[3]
    assert 0.25 < share < 1.2


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("what", ["noise", "rhythm", "jumps", "elsewhere"])
def test_what_is_no_blink(seed, what):
    x = noise(seed)
    rng = np.random.default_rng(seed + 100)
    row = 3
    if what == "rhythm":
        # theta that waxes and wanes at the front
        envelope = np.repeat(rng.gamma(0.5, size=120), 125)
        x[3] = envelope * band_limit(rng.normal(size=(1, 15_000)), SFREQ, 4.0, 8.0)[0]
        x[3] /= x[3].std()
    if what == "jumps":
        x[3] += 15 * np.cumsum(rng.permutation(np.r_[[1.0, -1.0, 1.0, -1.0], np.zeros(14_996)]))
    if what == "elsewhere":
        x[3] += blinks(4.5, 10)
        row = 6
    source = source_of(x, row)
    assert source is None
