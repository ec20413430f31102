"""Surrogates of spectral measures: uniform p where nothing is coupled, detection where it is."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from brainforge.errors import KernelInputError
from brainforge.kernels.connectivity.finish import METHODS
from brainforge.kernels.connectivity.fourier import band_bins, hann_taper, new_chunk, pack
from brainforge.kernels.connectivity.layout import n_pairs, pair_rows
from brainforge.kernels.connectivity.multitaper import dpss_tapers
from brainforge.kernels.connectivity.shuffle import shuffled
from brainforge.kernels.connectivity.spectral import spectral_connectivity
from brainforge.kernels.connectivity.spectral_surrogates import spectral_surrogates
from brainforge.kernels.surrogates import SCHEMES, draw_epochs
from tests.emulator.cuda import COMPILER
from tests.emulator.strict import fake_device, put

SFREQ, N_TIMES = 50.0, 50
BANDS = {"alpha": (8.0, 12.0)}
ALL = tuple(METHODS)


def packed(epochs, tapers=None):
    tapers = hann_taper(N_TIMES) if tapers is None else tapers
    grid = band_bins(N_TIMES, SFREQ, BANDS)
    n_epochs, n_channels = epochs.shape[:2]
    chunk = new_chunk(len(grid.bins), n_channels, len(tapers), 16 * -(-n_epochs // 16))
    for at in range(0, n_epochs, 16):
        pack(chunk, at, epochs[at : at + 16].astype(np.float32), tapers, grid.bins)
    return (chunk, n_epochs), grid.of_band


def noise(seed, n_epochs, n_channels):
    return np.random.default_rng(seed).standard_normal((n_epochs, n_channels, N_TIMES))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_p_is_uniform_where_nothing_is_coupled(scheme):
    seed = 14
    chunk, bins = packed(noise(seed, 40, 20))
    tests = spectral_surrogates(
        [chunk], 20, bins, ("coh", "imcoh", "plv", "wpli2_debiased"), scheme=scheme, seed=seed
    )
    for method, by_band in tests.items():
        p = by_band["alpha"].p
        assert stats.kstest(p, "uniform").pvalue > 1e-3, f"{method}, seed {seed}"
        assert p.min() >= 1 / 200
        assert (by_band["alpha"].p_corrected > 0.05).all()


def test_planted_coupling_is_found_by_every_method_and_nothing_else():
    seed = 3
    x = noise(seed, 60, 6)
    rng = np.random.default_rng(4)
    t = np.arange(N_TIMES) / SFREQ
    phase = rng.uniform(0, 2 * np.pi, (60, 1))
    x[:, 1] += 2 * np.sin(2 * np.pi * 10 * t + phase)
    x[:, 4] += 2 * np.sin(2 * np.pi * 10 * t + phase - 1.0)
    chunk, bins = packed(x)
    tests = spectral_surrogates([chunk], 6, bins, ALL, n_surrogates=99, seed=seed)
    first, second = pair_rows(6)
    planted = (first == 1) & (second == 4)
    for method in ALL:
        test = tests[method]["alpha"]
        assert test.p[planted] == 0.01, method
        assert test.p_corrected[planted] == 0.01, method
        assert (test.observed > test.threshold_corrected)[planted], method
        assert (test.p_corrected[~planted] > 0.01).all(), method


def test_observed_is_the_measure_itself_and_surrogates_of_several_tapers_work():
    x = noise(1, 20, 5)
    chunk, bins = packed(x, dpss_tapers(N_TIMES))
    tests = spectral_surrogates([chunk], 5, bins, ("wpli", "imcoh", "dpli"), n_surrogates=19)
    direct = spectral_connectivity(x, SFREQ, BANDS, ("wpli", "imcoh", "dpli"), mode="multitaper")
    rows = pair_rows(5)
    wanted = {
        "wpli": direct["wpli"]["alpha"][rows],
        "imcoh": np.abs(direct["imcoh"]["alpha"][rows]),
        "dpli": np.abs(direct["dpli"]["alpha"][rows] - 0.5),
    }
    for method, values in wanted.items():
        np.testing.assert_allclose(tests[method]["alpha"].observed, values, atol=1e-6)


def test_several_chunks_are_exchanged_within_and_counted_together():
    x = noise(8, 32, 4)
    whole, bins = packed(x)
    one = spectral_surrogates([whole], 4, bins, ("coh",), n_surrogates=19)["coh"]["alpha"]
    halves = [packed(x[:16])[0], packed(x[16:])[0]]
    two = spectral_surrogates(halves, 4, bins, ("coh",), n_surrogates=19)["coh"]["alpha"]
    np.testing.assert_allclose(one.observed, two.observed, atol=1e-6)


def test_the_seed_decides_and_threads_do_not():
    chunk, bins = packed(noise(2, 16, 5))
    runs = [
        spectral_surrogates([chunk], 5, bins, ("plv",), n_surrogates=19, seed=s, n_threads=k)[
            "plv"
        ]["alpha"].threshold
        for s, k in ((1, 1), (1, 2), (2, 1))
    ]
    np.testing.assert_array_equal(runs[0], runs[1])
    assert (runs[0] != runs[2]).any()


def test_shuffled_is_the_gather_that_it_says():
    rng = np.random.default_rng(6)
    chunk = rng.standard_normal((2, 2, 7, 4, 16)).astype(np.float32)
    for scheme in SCHEMES:
        draw = draw_epochs(rng, scheme, 19, 6)
        got = shuffled(chunk, draw, n_threads=2)
        wanted = np.zeros_like(chunk)
        for c in range(19):
            for e in range(6):
                z = chunk[:, c // 16, draw.order[c, e], :, c % 16]
                turned = (z[:, 0::2] + 1j * z[:, 1::2]) * draw.turn[c, e]
                wanted[:, c // 16, e, 0::2, c % 16] = turned.real
                wanted[:, c // 16, e, 1::2, c % 16] = turned.imag
        np.testing.assert_allclose(got, wanted, atol=1e-6)


@pytest.mark.skipif(COMPILER is None, reason="no g++ here: CUDA sources cannot be emulated")
def test_a_device_gives_the_same():
    (chunk, n), bins = packed(noise(2, 16, 5))
    methods = ("coh", "wpli2_debiased")
    here = spectral_surrogates([(chunk, n)], 5, bins, methods, n_surrogates=19)
    with fake_device():
        there = spectral_surrogates([(put(chunk), n)], 5, bins, methods, n_surrogates=19)
    for name in methods:
        ours, theirs = here[name]["alpha"], there[name]["alpha"]
        np.testing.assert_allclose(theirs.observed, ours.observed, atol=1e-5)
        np.testing.assert_allclose(theirs.threshold, ours.threshold, atol=1e-5)
        np.testing.assert_array_equal(theirs.p, ours.p)


def test_one_channel_and_none():
    for n in (0, 1):
        chunk, bins = packed(noise(1, 4, n))
        test = spectral_surrogates([chunk], n, bins, ("coh",), n_surrogates=19)["coh"]["alpha"]
        assert test.p.shape == test.threshold.shape == (n_pairs(n),)


def test_bad_input_is_named():
    chunk, bins = packed(noise(1, 4, 3))
    with pytest.raises(KernelInputError, match="method: expected one of"):
        spectral_surrogates([chunk], 3, bins, ("gpdc",))
    with pytest.raises(KernelInputError, match="scheme: expected one of"):
        spectral_surrogates([chunk], 3, bins, ("coh",), scheme="mix")
    with pytest.raises(KernelInputError, match="n_surrogates: expected at least 19"):
        spectral_surrogates([chunk], 3, bins, ("coh",), n_surrogates=10)
    with pytest.raises(KernelInputError, match="at least two epochs"):
        spectral_surrogates([(chunk[0], 1)], 3, bins, ("coh",))
    with pytest.raises(KernelInputError, match="at least two epochs"):
        spectral_surrogates([], 3, bins, ("coh",))
    with pytest.raises(KernelInputError, match="bins of alpha: expected positions from 0 to"):
        spectral_surrogates([chunk], 3, {"alpha": np.array([99])}, ("coh",))
    rng = np.random.default_rng(0)
    with pytest.raises(KernelInputError, match="draw: expected at most 16 epochs"):
        shuffled(chunk[0], draw_epochs(rng, "sign", 3, 17))
    with pytest.raises(KernelInputError, match="2 blocks"):
        shuffled(chunk[0], draw_epochs(rng, "sign", 17, 3))
