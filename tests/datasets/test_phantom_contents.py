"""What the truth says is what the samples hold."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import scipy.signal

from brainforge.datasets.fields import background_basis
from brainforge.datasets.helmet import HEAD_CENTER
from brainforge.datasets.phantom import Phantom

PHANTOM = Phantom(n_channels=64, sfreq=500.0, duration=120.0, seed=11, gaps=())
TRUTH = PHANTOM.truth()
NAMES = PHANTOM.info.names
SILENT = replace(
    PHANTOM, source_amplitude=0, brain_noise=0, sensor_drift=0, background_drift=0,
    interference=0, line_amplitude=0, heart_amplitude=0, blink_amplitude=0, muscle_amplitude=0,
    movement_amplitude=0, bad_channels=(), dtype="int32", lsb=1e-15,
)  # fmt: skip


@cache
def femtotesla(phantom: Phantom) -> np.ndarray:
    counts = phantom.recording().reader.read(0, phantom.n_samples)
    return counts * (phantom.lsb * 1e15)


def row_of(kind: str) -> int:
    return NAMES.index(next(b["name"] for b in TRUTH["bad_channels"] if b["kind"] == kind))


def good_rows() -> list[int]:
    bad = {b["name"] for b in TRUTH["bad_channels"]}
    return [i for i, name in enumerate(NAMES) if name not in bad]


def averaged(data: np.ndarray, samples: list[int], before: int, after: int) -> np.ndarray:
    inside = [s for s in samples if s >= before and s + after <= data.shape[1]]
    return np.mean([data[:, s - before : s + after] for s in inside], axis=0)


def test_sensor_noise_has_its_density() -> None:
    freqs, power = scipy.signal.welch(femtotesla(SILENT), 500.0, nperseg=1000)
    assert np.sqrt(power[:, (freqs > 5) & (freqs < 240)].mean()) == pytest.approx(15.0, rel=0.01)


def test_counts_add_little_noise() -> None:
    # 50 fT steps at 1 kHz are worth 0.65 fT/sqrt(Hz)
    coarse = replace(SILENT, dtype="int16", lsb=50e-15, sfreq=1000.0, duration=20.0)
    fine = replace(coarse, dtype="int32", lsb=1e-15)
    error = femtotesla(coarse) - femtotesla(fine)
    assert error.std() / np.sqrt(500.0) == pytest.approx(0.65, rel=0.02)


def test_each_bad_channel_is_bad_in_its_way_and_the_others_are_not() -> None:
    data = femtotesla(PHANTOM)
    rail = PHANTOM.rail * PHANTOM.lsb * 1e15
    railed = np.mean(np.abs(data) >= rail, axis=1)
    flat = np.ptp(data, axis=1) == 0
    power = scipy.signal.welch(data, 500.0, nperseg=1000)[1]
    floor = np.sqrt(np.median(power[:, 420:480], axis=1))
    assert 0.2 < railed[row_of("railing")] < 0.6
    assert np.flatnonzero(flat).tolist() == [row_of("dead")]
    assert floor[row_of("noisy")] == pytest.approx(300.0, rel=0.1)
    rest = good_rows()
    assert railed[rest].max() == 0
    assert floor[rest].max() < 25.0


def test_the_gain_drifts_as_the_truth_says() -> None:
    sos = scipy.signal.butter(4, [1, 40], "band", fs=500.0, output="sos")
    data = scipy.signal.sosfiltfilt(sos, femtotesla(PHANTOM), axis=1)
    row, others = row_of("gain_drift"), good_rows()
    ratios = []
    for part in (slice(0, 15000), slice(45000, 60000)):
        weights = np.linalg.lstsq(data[others, :].T, data[row, :], rcond=None)[0]
        predicted = weights @ data[others, part]
        ratios.append(predicted @ data[row, part] / (predicted @ predicted))
    course = TRUTH["gain_drift"]
    assert course["name"] == NAMES[row]
    assert course["gain"][0] == 1.0
    assert course["gain"][-1] == pytest.approx(0.65)
    # the means over the first and the last quarter
    assert ratios[1] / ratios[0] == pytest.approx((1 - 0.35 * 0.875) / (1 - 0.35 * 0.125), abs=0.03)


def test_bad_channels_keep_away_from_the_best_sensors_and_each_other() -> None:
    for seed in range(20):
        truth = Phantom(n_channels=306, duration=10.0, seed=seed).truth()
        bad = [b["name"] for b in truth["bad_channels"]]
        assert [b["kind"] for b in truth["bad_channels"]] == [
            "dead", "railing", "noisy", "gain_drift",
        ]  # fmt: skip
        assert not set(bad) & {s["best_sensor"] for s in truth["sources"]}
        place = Phantom().info.positions(bad)
        apart = np.linalg.norm(place[:, None] - place[None], axis=2) + 9 * np.eye(4)
        assert apart.min() >= 0.06


def test_the_heart_beats_where_the_truth_says() -> None:
    alone = replace(SILENT, heart_amplitude=3e-12)
    data, beats = femtotesla(alone), alone.truth()["heartbeats"]
    rate = 60.0 * 500.0 / np.diff(beats).mean()
    assert 58 < rate < 70
    average = averaged(data, beats, 100, 150)
    best = np.argmax(np.abs(average).max(axis=1))
    assert np.argmax(np.abs(average[best])) in (99, 100, 101)
    assert np.abs(average[best, 100]) == pytest.approx(3000.0, rel=0.1)
    assert TRUTH["heartbeats"] == beats


def test_blinks_are_strongest_in_front() -> None:
    alone = replace(SILENT, blink_amplitude=2e-12)
    data, events = femtotesla(alone), alone.truth()["blinks"]
    assert 15 < len(events) < 36
    average = averaged(data, events, 100, 200)
    best = int(np.argmax(np.abs(average[:, 100])))
    assert np.abs(average[best, 100]) == pytest.approx(2000.0, rel=0.15)
    assert PHANTOM.info.positions()[best, 1] > 0.04


def test_muscle_bursts_are_fast_and_low_on_the_helmet() -> None:
    alone = replace(SILENT, muscle_amplitude=800e-15)
    data, bursts = femtotesla(alone), alone.truth()["muscle"]
    assert bursts
    inside = np.zeros(alone.n_samples, dtype=bool)
    for burst in bursts:
        inside[burst["start"] : burst["stop"]] = True
    ratio = data[:, inside].std(axis=1) / data[:, ~inside].std(axis=1)
    assert ratio.max() > 1.2
    below = PHANTOM.info.positions()[np.argsort(ratio)[-5:], 2] - HEAD_CENTER[2]
    assert below.mean() < 0.0
    burst = data[:, bursts[0]["start"] : bursts[0]["stop"]]
    freqs, power = scipy.signal.periodogram(burst[np.argmax(burst.std(axis=1))], 500.0)
    quiet = 15.0**2
    assert power[(freqs > 25) & (freqs < 150)].mean() > 2 * quiet
    assert power[(freqs > 2) & (freqs < 18)].mean() < 2 * quiet


def test_the_mains_and_the_background_are_of_low_spatial_order() -> None:
    info = PHANTOM.info
    outside = replace(
        SILENT, sensor_noise=0, background_drift=40e-12, interference=4e-13,
        line_amplitude=1.5e-12, movement_amplitude=30e-12,
    )  # fmt: skip
    data = femtotesla(outside)
    basis = np.linalg.qr(background_basis(info.positions(), info.orientations()))[0]
    left = data - basis @ (basis.T @ data)
    assert left.std() < 1.0 < 1e-3 * data.std()
    freqs, power = scipy.signal.welch(data, 500.0, nperseg=2000)
    density = np.median(power, axis=0)
    line = TRUTH["line"]
    assert line["harmonics_hz"] == [50, 100, 150, 200, 250, 300][: len(line["harmonics_hz"])]
    for harmonic in (50.0, 100.0, 150.0, 200.0):
        at = int(np.argmin(np.abs(freqs - harmonic)))
        assert density[at] > 30 * np.median(density[at - 20 : at + 20]), harmonic


def test_the_head_moves_when_the_truth_says() -> None:
    moving = replace(SILENT, movement_amplitude=30e-12)
    data, moves = femtotesla(moving), moving.truth()["movements"]
    assert moves
    first = moves[0]
    middle = int(500 * (first["start_s"] + first["stop_s"]) / 2)
    before = int(500 * (first["start_s"] - first["rise_s"]))
    change = data[:, middle : middle + 50].mean(axis=1) - data[:, before - 50 : before].mean(axis=1)
    field = 1e15 * np.array(first["homogeneous_t"] + first["gradients_t_per_m"])
    basis = background_basis(PHANTOM.info.positions(), PHANTOM.info.orientations())
    assert np.corrcoef(change, basis @ field)[0, 1] > 0.99


def test_sources_play_in_their_bands_at_their_strength() -> None:
    alone = replace(SILENT, source_amplitude=250e-15)
    data = femtotesla(alone)
    freqs, power = scipy.signal.welch(data, 500.0, nperseg=2000)
    truth = {s["name"]: s for s in TRUTH["sources"]}
    source = truth["alpha occipital"]
    row = NAMES.index(source["best_sensor"])
    band = (freqs > 8) & (freqs < 13)
    peak = freqs[band][np.argmax(power[row, band])]
    assert peak == pytest.approx(source["peaks"][0]["frequency_hz"], abs=0.6)
    rms = np.sqrt(power[row, band].sum() * freqs[1])
    assert rms == pytest.approx(250.0, rel=0.15)
    assert PHANTOM.info.positions([source["best_sensor"]])[0, 1] < -0.03
    for one in TRUTH["sources"]:
        depth = np.linalg.norm(np.array(one["position_m"]) - HEAD_CENTER)
        assert 0.065 <= depth <= 0.075
        assert np.linalg.norm(one["orientation"]) == pytest.approx(1.0)
        radial = np.dot(one["orientation"], np.array(one["position_m"]) - HEAD_CENTER)
        assert abs(radial) < 1e-9
        assert one["moment_rms_am"] < 30e-9
