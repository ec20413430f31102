from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainforge.errors import KernelInputError
from brainforge.kernels.heartbeat import find_heartbeats


def heart(rate, seconds, sfreq, noise, seed, sign=1):
    """Return a trace and the samples of its R peaks."""
    rng = np.random.default_rng(seed)
    n = int(seconds * sfreq)
    times, at = [], 0.5
    while at < seconds - 0.5:
        times.append(at)
        at += 60 / rate * (1 + 0.05 * rng.normal())
    t = np.arange(n)[:, None] / sfreq - np.array(times)
    beat = np.exp(-((t / 0.012) ** 2)) - 0.3 * np.exp(-(((t - 0.03) / 0.012) ** 2))
    beat += 0.25 * np.exp(-(((t - 0.28) / 0.05) ** 2))
    trace = sign * beat.sum(axis=1) + noise * rng.normal(size=n)
    return trace, np.round(np.array(times) * sfreq).astype(int)


@settings(max_examples=12, deadline=None, derandomize=True)
@given(rate=st.floats(42, 150), seed=st.integers(0, 999), sign=st.sampled_from([-1, 1]))
def test_finds_all_beats_at_any_rate_and_polarity(rate, seed, sign):
    trace, truth = heart(rate, 40, 250.0, 0.1, seed, sign)
    beats = find_heartbeats(trace, 250.0)
    assert beats.plausible
    assert len(beats.samples) == len(truth)
    assert np.abs(beats.samples - truth).max() <= 3
    assert beats.rate_per_min == pytest.approx(60 * 250 / np.median(np.diff(truth)), rel=0.02)


def test_noise_is_not_a_heart():
    for seed in range(10):
        trace = np.random.default_rng(seed).normal(size=15_000)
        assert not find_heartbeats(trace, 250.0).plausible


def test_a_large_movement_does_not_hide_the_beats():
    trace, truth = heart(60, 60, 250.0, 0.05, 0)
    trace[7_000:7_120] += 40 * np.hanning(120) * np.sin(np.arange(120))
    found = find_heartbeats(trace, 250.0).samples
    clear = truth[np.abs(truth - 7_060) > 200]
    assert all(np.abs(found - t).min() <= 3 for t in clear)


def test_samples_between_runs_do_not_count():
    trace, truth = heart(70, 40, 250.0, 0.05, 1)
    runs = np.array([[0, 4_000], [5_000, 10_000]])
    plain = find_heartbeats(trace, 250.0, runs=runs)
    changed = trace.copy()
    changed[4_000:5_000] = 1e6
    other = find_heartbeats(changed, 250.0, runs=runs)
    assert np.array_equal(plain.samples, other.samples)
    inside = truth[(truth < 3_970) | (truth > 5_030)]
    assert len(plain.samples) in (len(inside), len(inside) + 1)


@pytest.mark.parametrize("trace", [np.zeros(0), np.zeros(5_000), np.ones(100)])
def test_nothing_to_find(trace):
    beats = find_heartbeats(trace, 250.0)
    assert not len(beats.samples)
    assert not beats.plausible


def test_bad_input_is_named():
    with pytest.raises(KernelInputError, match="finite"):
        find_heartbeats(np.array([1.0, np.nan]), 250.0)
    with pytest.raises(KernelInputError, match="one axis"):
        find_heartbeats(np.zeros((2, 100)), 250.0)
    with pytest.raises(KernelInputError, match="60 Hz"):
        find_heartbeats(np.zeros(100), 50.0)


@pytest.mark.shared_data
def test_agrees_with_mne_on_the_sample_recording(shared_data):
    import mne

    path = shared_data / "megin306_sample_int16" / "test_raw.fif"
    raw = mne.io.read_raw_fif(path, preload=True, verbose="error")
    peer = mne.preprocessing.find_ecg_events(raw, verbose="error")[0][:, 0] - raw.first_samp
    raw.pick("mag", exclude=["MEG 2443"]).filter(1.0, 100.0, verbose="error")
    beats = find_heartbeats(raw.get_data().mean(axis=0) * 1e15, raw.info["sfreq"])
    assert beats.plausible
    # the 24th beat ends 80 ms before the recording does; MNE leaves it out
    assert len(peer) == 23
    assert len(beats.samples) in (23, 24)
    assert np.abs(beats.samples[: len(peer)] - peer).max() <= 0.03 * raw.info["sfreq"]
