"""Packing, sums and layout: what the chunk holds, and that a broken contract is named."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainforge.errors import KernelInputError
from brainforge.kernels.connectivity.finish import finish_bands
from brainforge.kernels.connectivity.fourier import (
    band_bins,
    emphasised,
    hann_taper,
    new_chunk,
    pack,
)
from brainforge.kernels.connectivity.layout import LANES, SUMS, aligned, to_square
from brainforge.kernels.connectivity.multitaper import dpss_tapers
from brainforge.kernels.connectivity.sums import PairSums, kept_sums
from tests.reference.connectivity import cross_spectra, spectra


def unpacked(chunk, n_channels, bins, n_times):
    """Return the spectra of a chunk, axes (epoch, taper, channel, bin), without the emphasis."""
    by_channel = chunk.transpose(2, 3, 1, 4, 0).reshape(
        chunk.shape[2], chunk.shape[3], LANES * chunk.shape[1], len(bins)
    )
    assert not by_channel[:, :, n_channels:].any()
    z = by_channel[:, 0::2, :n_channels] + 1j * by_channel[:, 1::2, :n_channels]
    return z / emphasised(bins, n_times)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.integers(0, 16), st.integers(1, 40), st.integers(20, 60), st.integers(1, 3))
def test_chunk_holds_the_tapered_spectra(n_epochs, n_channels, n_times, n_tapers):
    rng = np.random.default_rng([n_epochs, n_channels, n_times])
    x = (rng.standard_normal((n_epochs, n_channels, n_times)) + 3).astype(np.float32)
    tapers = dpss_tapers(n_times, 2.0, n_tapers)
    bins = np.array([1, 4, n_times // 2])
    chunk = new_chunk(3, n_channels, n_tapers, 20)
    chunk[:] = 9
    pack(chunk, 2, x, tapers, bins, n_threads=2)
    got = unpacked(chunk[:, :, 2 : 2 + n_epochs], n_channels, bins, n_times)
    np.testing.assert_allclose(got, spectra(x, tapers, bins), atol=2e-5)
    assert (chunk[:, :, :2] == 9).all()
    assert (chunk[:, :, 2 + n_epochs :] == 9).all()


def test_an_epoch_is_packed_alike_in_any_company():
    rng = np.random.default_rng(6)
    wide = rng.standard_normal((7, 70, 123)).astype(np.float32)
    tapers, bins = dpss_tapers(100, 2.0, 2), np.array([2, 3, 50])
    together, alone = (new_chunk(3, 70, 2, 7) for _ in range(2))
    pack(together, 0, [epoch[:, 3:103] for epoch in wide], tapers, bins, n_threads=2)
    for e, epoch in enumerate(wide):
        pack(alone, e, [np.ascontiguousarray(epoch[:, 3:103])], tapers, bins)
    np.testing.assert_array_equal(together, alone)


@pytest.mark.parametrize("n_times", [16, 30, 34, 37, 60])
@pytest.mark.parametrize("strides", [(1, 1), (1, 2), (-1, 1), (3, -1)])
def test_any_strides_and_any_length(n_times, strides):
    rng = np.random.default_rng(n_times)
    wide = rng.standard_normal((5, 60, 2 * n_times)).astype(np.float32)
    x = wide[:, :: strides[0], :: strides[1]][:, :17, :n_times]
    tapers, bins = dpss_tapers(n_times, 2.0, 2), np.array([0, 1, n_times // 2])
    chunk = new_chunk(3, 17, 2, 5)
    pack(chunk, 0, x, tapers, bins)
    got = unpacked(chunk, 17, bins, n_times)
    np.testing.assert_allclose(got, spectra(x, tapers, bins), atol=2e-5)


def test_weak_bins_beside_strong_ones_keep_their_digits():
    """A gamma rhythm a thousandth as strong as a slow wave: the float32 transform sees both."""
    rng, t = np.random.default_rng(8), np.arange(500) / 250.0
    x = 1e4 * np.sin(2 * np.pi * t + rng.uniform(0, 6, (5, 3, 1)))
    x = (x + rng.standard_normal((5, 3, 500))).astype(np.float32)
    tapers, bins = hann_taper(500), np.arange(60, 91)
    chunk = new_chunk(len(bins), 3, 1, 5)
    pack(chunk, 0, x, tapers, bins)
    wanted = spectra(x, tapers, bins)
    error = np.abs(unpacked(chunk, 3, bins, 500) - wanted).max()
    assert error < 2e-3 * np.abs(wanted).mean()


def test_buffers_lie_on_cache_lines():
    for size in (1, 3, 1000):
        assert aligned((size, 5)).ctypes.data % 64 == 0


def test_hann_is_that_of_the_peer():
    np.testing.assert_allclose(
        hann_taper(50)[0] / hann_taper(50).max(), np.hanning(50) / np.hanning(50).max()
    )


def test_bands_share_their_edges():
    grid = band_bins(500, 250.0, {"theta": (4, 8), "alpha": (8, 13)})
    assert grid.freqs[grid.of_band["theta"]][-1] == grid.freqs[grid.of_band["alpha"]][0] == 8
    assert len(grid.bins) == 19


@pytest.mark.parametrize("n_tapers", [1, 3])
@pytest.mark.parametrize("n_channels", [1, 2, 5, 50, 51])
def test_sums_are_those_of_the_cross_spectra(n_channels, n_tapers):
    rng = np.random.default_rng(n_channels)
    x = rng.standard_normal((19, n_channels, 64)).astype(np.float32)
    x[3, 0] = 2.0
    tapers, bins = dpss_tapers(64, 2.0, n_tapers), np.array([3, 9])
    chunk = new_chunk(2, n_channels, n_tapers, 19)
    pack(chunk, 0, x[:16], tapers, bins)
    pack(chunk, 16, x[16:], tapers, bins)
    one, two = (PairSums(2, n_channels, n_tapers, SUMS) for _ in range(2))
    one.add(chunk, 19, n_threads=2)
    one.merge(two)
    two.merge(one)
    one.add(chunk, 19)
    assert one.n_epochs == 38
    assert two.n_epochs == 19
    c = cross_spectra(x, tapers, bins)[..., 1]
    unit = np.divide(c, np.abs(c), out=np.zeros_like(c), where=np.abs(c) > 0)
    wanted = {
        "re": c.real,
        "im": c.imag,
        "abs_im": np.abs(c.imag),
        "positive": np.heaviside(c.imag, 0.5),
        "im2": c.imag**2,
        "unit_re": unit.real,
        "unit_im": unit.imag,
    }
    gain = np.abs(emphasised(bins, 64)[1]) ** 2
    scale = {"re": gain, "im": gain, "abs_im": gain, "im2": gain**2}
    upper = np.triu_indices(n_channels, 1)
    for name, got in zip(one.names, one.values[1]):
        np.testing.assert_allclose(
            got / scale.get(name, 1.0), 2 * wanted[name].sum(0)[upper],
            rtol=2e-5, atol=2e-4, err_msg=name,
        )  # fmt: skip
    power = 2 * np.einsum("eii->i", c).real
    np.testing.assert_allclose(one.power[1] / gain, power, rtol=1e-5)


def test_only_what_a_method_needs_is_summed():
    assert PairSums(1, 3, 1, ["unit_re"]).names == ("unit_re", "unit_im")
    assert PairSums(1, 3, 7, ["positive"]).names == ("positive",)
    assert kept_sums(["re", "abs_im"]) == ("im", "abs_im", "re")


@pytest.mark.parametrize("n_tapers", [1, 2])
@pytest.mark.parametrize("wanted", [["positive"], ["re", "im"], ["unit_re"], ["im2", "abs_im"]])
def test_each_sum_is_the_same_without_the_others(wanted, n_tapers):
    chunk = new_chunk(1, 30, n_tapers, 50)
    chunk[:, :, :] = np.random.default_rng(1).standard_normal(chunk.shape)
    chunk[:, -1, ..., 30 % LANES :] = 0
    some, every = (PairSums(1, 30, n_tapers, names) for names in (wanted, SUMS))
    some.add(chunk, 49)
    every.add(chunk, 49)
    for name, got in zip(some.names, some.values[0]):
        want = every.values[0][every.names.index(name)]
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-4, err_msg=name)


def test_pending_epochs_count_as_if_summed():
    chunk = new_chunk(2, 110, 1, 40)
    chunk[:] = np.random.default_rng(2).standard_normal(chunk.shape)
    chunk[:, -1, ..., 110 % LANES :] = 0
    chunk[0, 3, 7, :, 2] = 0
    methods, bands = ["pli", "coh", "wpli2_debiased"], {"a": np.array([0, 1])}
    summed, waiting = (PairSums(2, 110, 1, kept_sums(SUMS)) for _ in range(2))
    summed.add(chunk, 40)
    wanted = finish_bands(summed, bands, methods)
    got = finish_bands(waiting, bands, methods, (chunk, 40), n_threads=2)
    assert waiting.values is None
    for method in methods:
        np.testing.assert_allclose(got[method]["a"], wanted[method]["a"], atol=1e-7)


def test_mirrors():
    packed = np.array([0.1, 0.2, 0.7])
    for symmetry, mirrored in (("symmetric", 0.7), ("antisymmetric", -0.7), ("complement", 0.3)):
        square = to_square(packed, 3, symmetry)
        assert square[1, 2] == 0.7
        assert square[2, 1] == pytest.approx(mirrored)
    assert to_square(packed * 1j, 3, "hermitian")[2, 1] == -0.7j


def test_broken_contracts_are_named():
    x, taper, bins = np.zeros((4, 2, 50), np.float32), hann_taper(50), np.array([2, 3])
    chunk = new_chunk(2, 2, 1, 16)
    with pytest.raises(KernelInputError, match="room for 17 epochs among 16"):
        pack(chunk, 0, np.zeros((17, 2, 50), np.float32), taper, bins)
    with pytest.raises(KernelInputError, match=r"float32 epochs .* got float64"):
        pack(chunk, 0, x.astype(np.float64), taper, bins)
    with pytest.raises(KernelInputError, match="all alike"):
        pack(chunk, 0, [x[0], x[0, :, 1:]], taper, bins)
    with pytest.raises(KernelInputError, match="tapers x 50 times"):
        pack(chunk, 0, x, hann_taper(40), bins)
    with pytest.raises(KernelInputError, match="FFT bins from 0 to 25"):
        pack(chunk, 0, x, taper, np.array([2, 26]))
    with pytest.raises(KernelInputError, match="chunk: expected"):
        pack(chunk.astype(np.float64), 0, x, taper, bins)
    with pytest.raises(KernelInputError, match="room for 4 epochs"):
        pack(chunk, 13, x, taper, bins)
    sums = PairSums(2, 2, 1, SUMS)
    with pytest.raises(KernelInputError, match="2 bins x 1 blocks x epochs x 2 rows"):
        sums.add(new_chunk(3, 2, 1, 16), 4)
    with pytest.raises(KernelInputError, match="0 to 16 epochs"):
        sums.add(chunk, 17)
    with pytest.raises(KernelInputError, match="C-ordered float32"):
        sums.add(chunk[::-1], 4)
    with pytest.raises(KernelInputError, match="merge"):
        sums.merge(PairSums(3, 2, 1, SUMS))
    with pytest.raises(KernelInputError, match="needs abs_im, im2"):
        finish_bands(PairSums(2, 2, 1, ["im"]), {"a": np.array([0])}, ["wpli2_debiased"])
    with pytest.raises(KernelInputError, match="tapers"):
        dpss_tapers(6)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_is_named(wrong):
    x, taper, bins = np.zeros((4, 20, 50), np.float32), hann_taper(50), np.array([2, 3])
    x[2, 18, 49] = wrong
    odd = x[:, :, 1:]
    with pytest.raises(KernelInputError, match="epochs: expected finite samples"):
        pack(new_chunk(2, 20, 1, 16), 0, odd, hann_taper(49), bins)
    with pytest.raises(KernelInputError, match="epochs: expected finite samples"):
        pack(new_chunk(2, 20, 1, 16), 0, x, taper, bins)


@pytest.mark.parametrize("band", [(-1.0, 4.0), (8.0, 4.0), (10.0, 26.0), (np.nan, 4.0)])
def test_bands_that_cannot_be_are_named(band):
    with pytest.raises(KernelInputError, match="band x: expected 0 <= low <= high <= 25 Hz"):
        band_bins(100, 50.0, {"x": band})
    with pytest.raises(KernelInputError, match="positive, finite rate"):
        band_bins(100, 0.0, {})
