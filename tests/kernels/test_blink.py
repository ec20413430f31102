from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainforge.errors import KernelInputError
from brainforge.kernels.blink import find_blinks


def eyes(n_blinks, seconds, sfreq, noise, seed, sign=1):
    """Return a trace with blinks at least 0.8 s apart, and their samples."""
    rng = np.random.default_rng(seed)
    n = int(seconds * sfreq)
    slots = rng.choice(np.arange(1, int(seconds / 1.2) - 1), size=n_blinks, replace=False)
    times = np.sort(slots) * 1.2 + rng.uniform(-0.2, 0.2, size=n_blinks)
    t = np.arange(n)[:, None] / sfreq - times
    trace = sign * (rng.uniform(0.7, 1.3, n_blinks) * np.exp(-((t / 0.08) ** 2))).sum(axis=1)
    return trace + noise * rng.normal(size=n), np.round(times * sfreq).astype(int)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(n=st.integers(1, 20), seed=st.integers(0, 999), sign=st.sampled_from([-1, 1]))
def test_finds_all_blinks(n, seed, sign):
    trace, truth = eyes(n, 60, 250.0, 0.1, seed, sign)
    blinks = find_blinks(trace, 250.0)
    assert blinks.polarity == sign
    assert len(blinks.samples) == n
    assert np.abs(blinks.samples - truth).max() <= 10


@pytest.mark.parametrize("noise", [0.01, 0.1, 0.2])
def test_blinks_go_one_way_and_jumps_both(noise):
    trace, _ = eyes(12, 60, 250.0, noise, 3)
    assert 0.6 < find_blinks(trace, 250.0).one_sided < 1
    jumps = np.random.default_rng(0).normal(size=15_000)
    jumps += 40 * ((np.arange(15_000) // 3_000) % 2)
    assert 0.4 < find_blinks(jumps, 250.0).one_sided < 0.57
    assert find_blinks(np.random.default_rng(0).normal(size=15_000), 250.0).one_sided == 0


def test_noise_has_no_blinks():
    assert not sum(
        len(find_blinks(np.random.default_rng(s).normal(size=15_000), 250.0).samples)
        for s in range(10)
    )


def test_weak_blinks_are_known_by_their_shape():
    trace, truth = eyes(20, 60, 250.0, 0.05, 5)
    t = np.arange(len(trace))
    small = truth[::5]
    trace -= sum(0.5 * trace[s] * np.exp(-(((t - s) / 20.0) ** 2)) for s in small)
    # with this background the weak ones stay under five standard deviations
    noise = np.convolve(np.random.default_rng(6).normal(size=len(t)), np.hanning(40), "same")
    trace += 0.06 * noise / noise.std()
    found = find_blinks(trace, 250.0).samples
    assert len(found) == 20
    assert np.abs(found - truth).max() <= 10


def test_one_movement_does_not_hide_the_blinks():
    trace, truth = eyes(12, 60, 250.0, 0.05, 3)
    trace[14_500:14_990] += 30 * np.hanning(490)
    found = find_blinks(trace, 250.0).samples
    clear = truth[truth < 14_300]
    assert all(np.abs(found - t).min() <= 10 for t in clear)


def test_samples_between_runs_do_not_count():
    trace, _ = eyes(8, 40, 250.0, 0.05, 4)
    runs = np.array([[0, 4_000], [5_000, 10_000]])
    changed = trace.copy()
    changed[4_000:5_000] = np.linspace(-1e5, 1e5, 1_000)
    plain, other = find_blinks(trace, 250.0, runs=runs), find_blinks(changed, 250.0, runs=runs)
    assert np.array_equal(plain.samples, other.samples)


@pytest.mark.parametrize("trace", [np.zeros(0), np.zeros(5_000), np.ones(100)])
def test_nothing_to_find(trace):
    assert not len(find_blinks(trace, 250.0).samples)


def test_bad_input_is_named():
    with pytest.raises(KernelInputError, match="finite"):
        find_blinks(np.array([1.0, np.inf]), 250.0)
    with pytest.raises(KernelInputError, match="one axis"):
        find_blinks(np.zeros((2, 100)), 250.0)
    with pytest.raises(KernelInputError, match="30 Hz"):
        find_blinks(np.zeros(100), 20.0)


@pytest.mark.shared_data
def test_agrees_with_mne_on_the_sample_recording(shared_data):
    import mne

    path = shared_data / "megin306_sample_int16" / "test_raw.fif"
    raw = mne.io.read_raw_fif(path, preload=True, verbose="error")
    peer = mne.preprocessing.find_eog_events(raw, verbose="error")[:, 0] - raw.first_samp
    trace = raw.get_data("EOG 061")[0] * 1e6
    blinks = find_blinks(trace, raw.info["sfreq"])
    assert len(blinks.samples) == len(peer) == 4
    assert np.abs(blinks.samples - peer).max() <= 0.02 * raw.info["sfreq"]
