"""Orthogonalised envelope correlation: reference, mne-connectivity and known truths."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest

from brainforge.errors import KernelInputError
from brainforge.kernels.connectivity.aec import envelope_correlation
from brainforge.kernels.connectivity.envelope import (
    analytic,
    band_window,
    edge_taper,
    epoch_spectrum,
)
from brainforge.testing.kernel_suite import KernelCase, KernelSuite
from tests.reference.aec import analytic as plain_analytic
from tests.reference.aec import envelope_correlation as plain_correlation

SFREQ = 100.0
BANDS = {"theta": (4.0, 8.0), "beta": (13.0, 30.0)}


def draw(rng, size):
    z = rng.standard_normal((size, 20 * size + 17, 2)) @ np.array([1.0, 1.0j])
    return (1e-13 * (z + 0.5 * np.roll(z, 1, axis=0)),)


def draw_epoch(rng, size):
    return (rng.standard_normal((size, 900 + size)) * 300 + 1000.0,)


def fast_analytic(epoch):
    n = epoch.shape[1]
    spectrum = epoch_spectrum(epoch, edge_taper(n, SFREQ), n_threads=2)
    out = {}
    for name, band in BANDS.items():
        z = analytic(spectrum, band_window(n, SFREQ, band))
        out[name], out[f"{name} lag"] = np.abs(z), z[:1] * z.conj()
    return out


def slow_analytic(epoch):
    n = epoch.shape[1]
    out = {}
    for name, band in BANDS.items():
        z = plain_analytic(epoch, edge_taper(n, SFREQ), SFREQ, band, 1.0)[:, 100 : n - 100]
        out[name], out[f"{name} lag"] = np.abs(z), z[:1] * z.conj()
    return out


class TestAgainstReference(KernelSuite):
    table: ClassVar = {
        "signed": KernelCase({"cpu": envelope_correlation}, plain_correlation, draw),
        "absolute": KernelCase(
            {"cpu": lambda z: envelope_correlation(z, absolute=True)},
            lambda z: plain_correlation(z, absolute=True),
            draw,
        ),
        "analytic": KernelCase(
            {"cpu": fast_analytic}, slow_analytic, draw_epoch, atol=0.3, rtol=1e-5
        ),
    }


@pytest.mark.parametrize("absolute", [False, True])
def test_agrees_with_mne_connectivity(absolute):
    import mne_connectivity

    x = np.random.default_rng(1).standard_normal((9, 2000))
    x[1:] += 0.4 * x[:1]
    spectrum = epoch_spectrum(x, edge_taper(2000, SFREQ))
    z = analytic(spectrum, band_window(2000, SFREQ, (8.0, 13.0)))
    peer = mne_connectivity.envelope_correlation(
        [z.astype(complex)], orthogonalize="pairwise", absolute=absolute, verbose="error"
    ).get_data("dense")[0, ..., 0]
    ours = envelope_correlation(z, absolute=absolute)
    np.testing.assert_allclose(ours, peer[np.triu_indices(9, 1)], atol=1e-6)


def test_common_envelope_of_independent_carriers_is_seen_and_mixing_is_not():
    rng = np.random.default_rng(8)
    t = np.arange(20_000)
    slow = 2 + np.sin(2 * np.pi * t / 1500)
    carrier = (rng.standard_normal((4, 2000, 2)) @ np.array([1, 1j])).repeat(10, axis=1)
    z = carrier / np.abs(carrier)
    z[:2] *= slow
    z[3] = z[2] * (1 + 1e-3j * rng.standard_normal(len(t)))
    r = envelope_correlation(z)
    pairs = dict(zip(zip(*np.triu_indices(4, 1)), r))
    assert pairs[0, 1] > 0.4
    assert abs(pairs[0, 2]) < 0.1


def test_signed_default_is_unbiased_where_absolute_is_not():
    rng = np.random.default_rng(6)
    signed, absolute = [], []
    window = band_window(1500, 250.0, (8.0, 13.0))
    for _ in range(12):
        spectrum = epoch_spectrum(rng.standard_normal((16, 1500)), edge_taper(1500, 250.0))
        z = analytic(spectrum, window)
        signed.append(envelope_correlation(z))
        absolute.append(envelope_correlation(z, absolute=True))
    assert abs(np.mean(signed)) < 0.02
    assert np.mean(absolute) > 0.08


def test_flat_and_constant_envelopes_give_zero():
    x = np.random.default_rng(2).standard_normal((4, 1000))
    x[1] = 3.3
    z = analytic(epoch_spectrum(x, edge_taper(1000, SFREQ)), band_window(1000, SFREQ, (8, 13)))
    assert not z[1].any()
    z[2] = np.exp(1j * np.arange(z.shape[1]))
    z[3] = 1j * z[2]
    r = envelope_correlation(z)
    assert np.isfinite(r).all()
    np.testing.assert_array_equal(r[[0, 3, 4, 5]], 0.0)


def test_fewer_points_give_nearly_the_same_answer():
    x = np.random.default_rng(12).standard_normal((30, 20, 2500))
    thin, full = [], []
    for epoch in x:
        spectrum = epoch_spectrum(epoch, edge_taper(2500, 250.0))
        for answers, oversampling in ((full, None), (thin, 4.0)):
            window = band_window(2500, 250.0, (8.0, 13.0), oversampling=oversampling)
            answers.append(envelope_correlation(analytic(spectrum, window)))
    assert window.n_kept < 200
    off = np.array(thin) - np.array(full)
    scatter = np.std(full, axis=0).mean()
    assert np.sqrt(np.mean(off**2)) < scatter / 8
    assert np.abs(off.mean(axis=0)).max() < 0.07 * scatter
    assert abs(off.mean()) < 0.003 * scatter


def test_sums_of_many_chunks_and_odd_ends_are_whole():
    rng = np.random.default_rng(31)
    for n, n_times in ((2, 1), (3, 2), (49, 33), (97, 20), (5, 1501)):
        z = rng.standard_normal((n, n_times)) + 1j * rng.standard_normal((n, n_times))
        np.testing.assert_allclose(envelope_correlation(z), plain_correlation(z), atol=2e-6)


def test_bad_input_is_named():
    with pytest.raises(KernelInputError, match="signal: expected complex64"):
        envelope_correlation(np.zeros((3, 5)))
    with pytest.raises(KernelInputError, match="band: expected edges"):
        band_window(1000, SFREQ, (30.0, 50.0))
    with pytest.raises(KernelInputError, match="more than 2 s"):
        band_window(150, SFREQ, (8.0, 13.0))
    with pytest.raises(KernelInputError, match="channels x 1000 times"):
        epoch_spectrum(np.zeros((3, 999)), edge_taper(1000, SFREQ))
