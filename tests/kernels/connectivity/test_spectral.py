"""All spectral measures: against the float64 reference, mne-connectivity and known truths."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest

from brainforge.errors import KernelInputError
from brainforge.kernels.connectivity.finish import METHODS, OF_EPOCH_PAIRS
from brainforge.kernels.connectivity.fourier import band_bins
from brainforge.kernels.connectivity.spectral import make_tapers, spectral_connectivity
from brainforge.testing.kernel_suite import KernelCase, KernelSuite
from tests.reference.connectivity import band_mean

BANDS = {"theta": (4.0, 8.0), "beta": (8.0, 20.0)}
SFREQ = 50.0


def draw(rng, size):
    n_epochs, n_channels, n_times = 3 + size, size, 50 + size % 3
    x = rng.standard_normal((n_epochs, n_channels, n_times)) * 1e-13
    x[:, 1:] += 0.5 * np.roll(x[:, :-1], 3, axis=-1)
    return (x,)


def fast(mode):
    def run(x):
        out = spectral_connectivity(x, SFREQ, BANDS, list(METHODS), mode=mode, n_threads=2)
        return {f"{m} {b}": v for m, by_band in out.items() for b, v in by_band.items()}

    return run


def plain(mode):
    def run(x):
        grid, tapers = band_bins(x.shape[2], SFREQ, BANDS), make_tapers(mode, x.shape[2])
        return {
            f"{m} {b}": band_mean(x, tapers, grid.bins[grid.of_band[b]], m)
            for m in METHODS
            for b in BANDS
        }

    return run


class TestAgainstReference(KernelSuite):
    # PLI counts signs, where one sample within rounding of zero may fall to either side
    table: ClassVar = {
        mode: KernelCase({"cpu": fast(mode)}, plain(mode), draw, atol=2e-6)
        for mode in ("fourier", "multitaper")
    }


PEER = ["coh", "imcoh", "plv", "pli", "wpli", "wpli2_debiased", "ppc", "pli2_unbiased", "dpli"]


@pytest.mark.parametrize("mode", ["fourier", "multitaper"])
def test_agrees_with_mne_connectivity(mode):
    import mne_connectivity

    rng = np.random.default_rng(5)
    source = rng.standard_normal((24, 3, 250))
    x = rng.standard_normal((24, 9, 250)) + np.einsum(
        "cs,est->ect", rng.standard_normal((9, 3)), source
    )
    x += 0.6 * np.roll(x[:, ::-1], 4, axis=-1) + 5.0
    bands = {"alpha": (8.0, 13.0), "gamma": (30.0, 45.0)}
    peers = mne_connectivity.spectral_connectivity_epochs(
        x,
        method=PEER,
        mode=mode,
        sfreq=125.0,
        fmin=[8.0, 30.0],
        fmax=[13.0, 45.0],
        faverage=True,
        verbose="error",
    )
    ours = spectral_connectivity(x, 125.0, bands, PEER, mode=mode)
    lower = np.tril_indices(9, -1)
    for method, peer in zip(PEER, peers):
        dense = peer.get_data("dense")
        for b, band in enumerate(bands):
            np.testing.assert_allclose(
                ours[method][band][lower], dense[..., b][lower], atol=1e-5, err_msg=method
            )


@pytest.mark.parametrize("mode, wpli", [("fourier", 0.250), ("multitaper", 0.228)])
def test_known_bias_of_twenty_independent_epochs(mode, wpli):
    # Im(z_i conj z_j) of one taper is Laplace, summed over seven it is nearly normal:
    # sqrt(2 / pi) * sqrt(2 / 20) = 0.252 for the one and sqrt(1 / 20) = 0.224 for the other limit
    rng = np.random.default_rng(11)
    x = rng.standard_normal((20, 60, 200))
    methods = ["pli", "wpli", "plv", "pli2_unbiased", "wpli2_debiased", "ppc"]
    out = spectral_connectivity(x, 100.0, {"wide": (5.0, 45.0)}, methods, mode=mode)
    mean = {m: out[m]["wide"][np.triu_indices(60, 1)].mean() for m in methods}
    assert mean["pli"] == pytest.approx(0.176, abs=0.005)
    assert mean["wpli"] == pytest.approx(wpli, abs=0.005)
    assert mean["plv"] == pytest.approx(0.200, abs=0.005)
    for method in ("pli2_unbiased", "wpli2_debiased", "ppc"):
        assert abs(mean[method]) < 0.003


def test_lagged_sinusoids_are_fully_connected():
    rng = np.random.default_rng(3)
    t = np.arange(500) / 250.0
    phase = rng.uniform(0, 2 * np.pi, 40)[:, None]
    x = np.stack([np.sin(2 * np.pi * 10 * t + phase), np.sin(2 * np.pi * 10 * t + phase - 1)], 1)
    out = spectral_connectivity(x, 250.0, {"ten": (10.0, 10.0)}, list(METHODS))
    for method in ("coh", "plv", "pli", "wpli", "wpli2_debiased", "ppc", "pli2_unbiased"):
        assert out[method]["ten"][0, 1] == pytest.approx(1.0, abs=1e-4), method
    assert out["imcoh"]["ten"][0, 1] == pytest.approx(np.sin(1.0), abs=1e-4)
    assert out["imcoh"]["ten"][1, 0] == pytest.approx(-np.sin(1.0), abs=1e-4)
    assert out["dpli"]["ten"][0, 1] == 1.0
    assert out["dpli"]["ten"][1, 0] == 0.0


def test_instant_mixing_has_no_imaginary_part():
    rng = np.random.default_rng(4)
    source = rng.standard_normal((100, 1, 200))
    x = source * np.array([1.0, 0.7, -1.3])[:, None] + 1e-7 * rng.standard_normal((100, 3, 200))
    out = spectral_connectivity(x, 100.0, {"b": (8.0, 20.0)}, ["coh", "imcoh", "wpli2_debiased"])
    pairs = np.triu_indices(3, 1)
    assert out["coh"]["b"][pairs].min() > 0.999
    assert np.abs(out["imcoh"]["b"]).max() < 1e-5
    assert np.abs(out["wpli2_debiased"]["b"]).max() < 0.05


@pytest.mark.parametrize("level", [0.0, 0.1])
def test_flat_channel_gives_zeros_and_no_warning(level):
    x = np.random.default_rng(2).standard_normal((12, 4, 100))
    x[:, 1] = level
    x[:5, 2] = level
    out = spectral_connectivity(x, 50.0, BANDS, list(METHODS))
    for method in METHODS:
        for value in out[method].values():
            assert np.isfinite(value).all()
            if method in ("coh", "imcoh", "plv", "pli", "wpli", "wpli2_debiased"):
                assert not value[1].any(), method
    np.testing.assert_array_equal(out["dpli"]["theta"][1, [0, 2, 3]], 0.5)
    grid, taper = band_bins(100, 50.0, BANDS), make_tapers("fourier", 100)
    for method in ("pli", "dpli", "plv"):
        wanted = band_mean(x, taper, grid.bins[grid.of_band["theta"]], method)
        np.testing.assert_allclose(out[method]["theta"][0], wanted[0], atol=1e-6)


def test_no_epoch_gives_zeros():
    methods = [name for name in METHODS if name not in OF_EPOCH_PAIRS]
    out = spectral_connectivity(np.zeros((0, 3, 100)), 50.0, BANDS, methods)
    assert not out["coh"]["theta"].any()
    assert out["coh"]["theta"].shape == (3, 3)


def test_bad_input_is_named():
    x = np.zeros((2, 3, 100))
    with pytest.raises(KernelInputError, match="method: expected one of coh"):
        spectral_connectivity(x, 50.0, BANDS, ["coherence"])
    with pytest.raises(KernelInputError, match="mode: expected fourier or multitaper"):
        spectral_connectivity(x, 50.0, BANDS, ["coh"], mode="wavelet")
    with pytest.raises(KernelInputError, match="band x: expected an FFT bin"):
        spectral_connectivity(x, 50.0, {"x": (10.1, 10.2)}, ["coh"])
    with pytest.raises(KernelInputError, match="epochs x channels x times"):
        spectral_connectivity(x[0], 50.0, BANDS, ["coh"])
    with pytest.raises(KernelInputError, match="Nyquist"):
        spectral_connectivity(x, 50.0, {"x": (20.0, 30.0)}, ["coh"])
    with pytest.raises(KernelInputError, match=r"real numbers.*complex128"):
        spectral_connectivity(x + 0j, 50.0, BANDS, ["coh"])
    with pytest.raises(KernelInputError, match="at least two for ppc, wpli2_debiased, got 1"):
        spectral_connectivity(x[:1], 50.0, BANDS, ["coh", "ppc", "wpli2_debiased"])
    with pytest.raises(KernelInputError, match="finite"):
        spectral_connectivity(x * np.nan, 50.0, BANDS, ["coh"])
