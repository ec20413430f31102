from __future__ import annotations

import numpy as np
import pytest
import scipy.signal

from brainforge.datasets.courses import (
    Lag,
    OverlapAdd,
    ShapedNoise,
    SlowNoise,
    Stream,
    add_events,
    event_times,
    generator,
)

SFREQ, HOP = 200.0, 800
FREQS = np.fft.rfftfreq(2 * HOP, 1 / SFREQ)


def shaped(density: np.ndarray, lags: tuple[Lag, ...] = ()) -> ShapedNoise:
    return ShapedNoise(5, Stream.SOURCES, HOP, SFREQ, density, lags)


def run(noise: ShapedNoise, n: int) -> np.ndarray:
    joined = OverlapAdd(noise)
    return np.concatenate([joined.piece(i) for i in range(n)], axis=1)


def test_noise_has_the_density_asked_for() -> None:
    density = np.stack([np.full(len(FREQS), 3.0), 10.0 / np.maximum(FREQS, 1.0)])
    freqs, power = scipy.signal.welch(run(shaped(density), 200), SFREQ, nperseg=400)
    inner = (freqs >= 2) & (freqs <= 90)
    assert np.sqrt(power[0, inner]).mean() == pytest.approx(3.0, rel=0.02)
    assert np.allclose(np.sqrt(power[1, inner]) * freqs[inner] / 10.0, 1.0, atol=0.15)


def test_noise_is_as_strong_at_the_joints_as_between() -> None:
    data = run(shaped(np.ones((60, len(FREQS)))), 100).reshape(60, 100, HOP)
    course = data.var(axis=(0, 1)).reshape(16, -1).mean(axis=1)
    assert np.all(np.abs(course / course.mean() - 1) < 0.03)


def test_pieces_do_not_depend_on_the_order() -> None:
    noise = shaped(np.ones((3, len(FREQS))))
    straight = run(noise, 6)
    joined = OverlapAdd(noise)
    for index in (4, 0, 1, 5, 2, 2, 3):
        piece = straight[:, index * HOP : (index + 1) * HOP]
        assert np.array_equal(joined.piece(index), piece)


def test_a_follower_has_the_lag_and_the_coherence() -> None:
    band = np.where((FREQS > 5) & (FREQS < 15), 1.0, 0.0)
    data = run(shaped(np.tile(band, (3, 1)), (Lag(0, 1, 0.8, 0.02),)), 150)
    freqs, cross = scipy.signal.csd(data[0], data[1], SFREQ, nperseg=400)
    power = scipy.signal.welch(data, SFREQ, nperseg=400)[1]
    ten = np.argmin(np.abs(freqs - 10))
    coherency = cross[ten] / np.sqrt(power[0, ten] * power[1, ten])
    assert abs(coherency) == pytest.approx(0.8, abs=0.05)
    assert np.angle(coherency) == pytest.approx(-2 * np.pi * 10 * 0.02, abs=0.08)
    other = scipy.signal.csd(data[0], data[2], SFREQ, nperseg=400)[1][ten]
    assert abs(other) / np.sqrt(power[0, ten] * power[2, ten]) < 0.12


def test_slow_noise_has_unit_variance_and_no_steps() -> None:
    slow = SlowNoise(5, Stream.SENSOR_DRIFT, 200, 20.0)
    parts = [np.matmul(*slow.piece(a, a + 100)) for a in range(0, 4000, 100)]
    data = np.concatenate(parts, axis=1)
    assert data.var(axis=0).mean() == pytest.approx(1.0, rel=0.1)
    steps = np.abs(np.diff(data, axis=1))
    assert steps[:, 99::100].max() <= 1.1 * steps.max()
    assert np.array_equal(np.matmul(*slow.piece(300, 400)), parts[3])


def test_longer_recordings_only_add_events() -> None:
    short = event_times(generator(1, Stream.HEART), 60.0, 1.0, 0.05)
    long = event_times(generator(1, Stream.HEART), 600.0, 1.0, 0.05)
    assert np.array_equal(long[: len(short)], short)
    assert np.diff(long).mean() == pytest.approx(1.0, abs=0.02)
    assert np.diff(long).std() == pytest.approx(0.05, rel=0.2)


def test_events_cross_the_borders_of_pieces() -> None:
    template = np.arange(1.0, 8.0, dtype=np.float32)
    samples, gains = np.array([0, 9, 14, 40]), np.array([1.0, 2.0, 1.0, 1.0])
    whole = np.zeros(40, dtype=np.float32)
    add_events(whole, 0, samples, gains, template, before=3)
    cut = np.zeros(40, dtype=np.float32)
    for a, b in ((0, 7), (7, 12), (12, 13), (13, 40)):
        add_events(cut[a:b], a, samples, gains, template, before=3)
    assert np.array_equal(cut, whole)
    assert whole[[0, 9, 39]].tolist() == [4, 8, 3]
