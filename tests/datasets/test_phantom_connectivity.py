"""The planted couplings can be found, and nothing that was not planted looks like one."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.signal

from brainforge.datasets.fields import background_basis
from brainforge.datasets.phantom import Phantom
from brainforge.datasets.phantom_sources import BANDS, MIN_DISTANCE, RHYTHMS


def wpli2_debiased(data: np.ndarray, sfreq: float) -> dict[str, np.ndarray]:
    """Band means over all pairs from 2-s epochs, plainly: Vinck 2011."""
    length = int(2 * sfreq)
    n = data.shape[1] // length
    epochs = data[:, : n * length].reshape(len(data), n, length)
    epochs = (epochs - epochs.mean(axis=2, keepdims=True)) * np.hanning(length)
    spectra = np.fft.rfft(epochs, axis=2).astype(np.complex64)
    freqs = np.fft.rfftfreq(length, 1 / sfreq)
    out = {}
    for band, (low, high) in BANDS.items():
        values = []
        for f in np.flatnonzero((freqs >= low) & (freqs <= high)):
            z = spectra[:, :, f] / np.abs(spectra[:, :, f]).mean()
            total = magnitude = square = 0.0
            for e in range(n):
                product = np.outer(z[:, e].imag, z[:, e].real)
                imag = product - product.T
                total, magnitude = total + imag, magnitude + np.abs(imag)
                square = square + imag**2
            below = magnitude**2 - square
            values.append((total**2 - square) / np.where(below > 0, below, 1.0))
        out[band] = np.mean(values, axis=0)
    return out


def corrected(phantom: Phantom) -> tuple[np.ndarray, list[str], float]:
    """Return good channels at 250 Hz or less, high-passed, without homogeneous fields."""
    decim = max(int(phantom.sfreq // 250), 1)
    sfreq = phantom.sfreq / decim
    high = scipy.signal.butter(2, 1.0, "high", fs=phantom.sfreq, output="sos")
    counts = phantom.recording().reader.read(0, phantom.n_samples)
    bad = {b["name"] for b in phantom.truth()["bad_channels"]}
    rows = [i for i, name in enumerate(phantom.info.names) if name not in bad]
    data = np.empty((len(rows), -(-counts.shape[1] // decim)), dtype=np.float32)
    for out, row in zip(data, rows):
        course = counts[row] * (phantom.lsb * 1e15)
        course = scipy.signal.sosfilt(high, course - course[0])
        out[:] = scipy.signal.decimate(course, decim, ftype="fir") if decim > 1 else course
    names = [phantom.info.names[i] for i in rows]
    basis = background_basis(phantom.info.positions(names), phantom.info.orientations(names))
    own = np.linalg.qr(basis[:, :3])[0].astype(np.float32)
    return data - own @ (own.T @ data), names, sfreq


def check(phantom: Phantom) -> None:
    data, names, sfreq = corrected(phantom)
    values, truth = wpli2_debiased(data, sfreq), phantom.truth()
    upper = np.triu_indices(len(names), 1)
    limits = {band: np.quantile(v[upper], 0.98) for band, v in values.items()}

    def edge(pair: dict) -> float:
        one, other = (names.index(s) for s in pair["sensors"])
        return values[pair["band"]][one, other]

    assert len(truth["couplings"]) == 3
    assert len(truth["independent_pairs"]) == 27
    for pair in truth["couplings"]:
        assert pair["distance_m"] >= MIN_DISTANCE
        assert edge(pair) > limits[pair["band"]], (phantom.seed, pair)
    for pair in truth["independent_pairs"]:
        assert pair["distance_m"] >= MIN_DISTANCE
        assert edge(pair) < limits[pair["band"]], (phantom.seed, pair)


def test_couplings_stand_out_and_independent_sources_do_not() -> None:
    check(Phantom(seed=21, sfreq=250.0, duration=150.0, n_channels=150))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_couplings_stand_out_on_every_seed(seed: int) -> None:
    check(Phantom(seed=seed, duration=300.0))


def test_without_coupling_the_truth_names_none() -> None:
    truth = Phantom(n_channels=32, duration=5.0, coupling=0.0).truth()
    assert truth["couplings"] == []
    assert len(truth["independent_pairs"]) == 30


def test_followers_lag_by_a_quarter_of_a_turn_or_so() -> None:
    for pair in Phantom(n_channels=32, duration=5.0).truth()["couplings"]:
        assert 30.0 <= pair["phase_deg"] <= 90.0
        assert pair["lag_s"] == RHYTHMS[pair["band"]][2]


@pytest.mark.parametrize("n, layout", [(306, "radial"), (306, "triaxial"), (102, "radial")])
def test_best_sensors_are_far_apart_for_every_seed(n: int, layout: str) -> None:
    for seed in range(25):
        truth = Phantom(n_channels=n, layout=layout, duration=5.0, seed=seed).truth()
        pairs = truth["couplings"] + truth["independent_pairs"]
        assert min(p["distance_m"] for p in pairs) >= MIN_DISTANCE, seed
