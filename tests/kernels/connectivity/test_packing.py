"""Packing, sums and layout: what the chunk holds, and that a broken contract is named."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainforge.errors import KernelInputError
from brainforge.kernels.connectivity.fourier import band_bins, hann_taper, new_chunk, pack
from brainforge.kernels.connectivity.layout import GROUP, aligned, to_square
from brainforge.kernels.connectivity.multitaper import dpss_tapers
from brainforge.kernels.connectivity.sums import SUMS, PairSums
from tests.reference.connectivity import cross_spectra, spectra


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.integers(0, 16), st.integers(1, 40), st.integers(20, 60), st.integers(1, 3))
def test_chunk_holds_the_tapered_spectra(n_epochs, n_channels, n_times, n_tapers):
    rng = np.random.default_rng([n_epochs, n_channels, n_times])
    x = rng.standard_normal((n_epochs, n_channels, n_times)) + 3
    tapers = dpss_tapers(n_times, 2.0, n_tapers)
    bins = np.array([1, 4, n_times // 2])
    chunk = new_chunk(3, n_channels, n_tapers, 20)
    chunk[:] = 9
    pack(x, tapers, bins, chunk, 16, n_threads=2)
    z = spectra(x.astype(np.float32), tapers, bins).transpose(3, 2, 1, 0)
    np.testing.assert_allclose(chunk[:, :, 0::2, 16 : 16 + n_epochs], z.real, atol=2e-5)
    np.testing.assert_allclose(chunk[:, :, 1::2, 16 : 16 + n_epochs], z.imag, atol=2e-5)
    assert not chunk[..., 16 + n_epochs : 32].any()
    assert (chunk[..., :16] == 9).all()


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
    x = rng.standard_normal((19, n_channels, 64))
    x[3, 0] = 2.0
    tapers, bins = dpss_tapers(64, 2.0, n_tapers), np.array([3, 9])
    chunk = new_chunk(2, n_channels, n_tapers, 19)
    pack(x[:16], tapers, bins, chunk, 0)
    pack(x[16:], tapers, bins, chunk, 16)
    one, two = (PairSums(2, n_channels, n_tapers, SUMS) for _ in range(2))
    one.add(chunk, 19, n_threads=2)
    one.merge(two)
    two.merge(one)
    got = two.bin(1, [(chunk, 19)])
    assert got.n_epochs == 38
    assert one.n_epochs == 19
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
    upper = np.triu_indices(n_channels, 1)
    for name, value in wanted.items():
        np.testing.assert_allclose(
            got.of[name], 2 * value.sum(0)[upper], rtol=2e-5, atol=2e-4, err_msg=name
        )
    np.testing.assert_allclose(got.power, 2 * np.einsum("eii->i", c).real, rtol=1e-5)


def test_only_what_a_method_needs_is_summed():
    assert PairSums(1, 3, 1, ["unit_re"]).names == ("unit_re", "unit_im")
    assert PairSums(1, 3, 1, ["positive"]).names == ("im", "abs_im", "positive", "im2")


def test_mirrors():
    packed = np.array([0.1, 0.2, 0.7])
    for symmetry, mirrored in (("symmetric", 0.7), ("antisymmetric", -0.7), ("complement", 0.3)):
        square = to_square(packed, 3, symmetry)
        assert square[1, 2] == 0.7
        assert square[2, 1] == pytest.approx(mirrored)
    assert to_square(packed * 1j, 3, "hermitian")[2, 1] == -0.7j


def test_broken_contracts_are_named():
    x, taper, bins = np.zeros((4, 2, 50)), hann_taper(50), np.array([2, 3])
    chunk = new_chunk(2, 2, 1, 16)
    assert chunk.shape[3] == GROUP
    with pytest.raises(KernelInputError, match="at most 16 epochs"):
        pack(np.zeros((17, 2, 50)), taper, bins, chunk, 0)
    with pytest.raises(KernelInputError, match="tapers x 50 times"):
        pack(x, hann_taper(40), bins, chunk, 0)
    with pytest.raises(KernelInputError, match="FFT bins from 0 to 25"):
        pack(x, taper, np.array([2, 26]), chunk, 0)
    with pytest.raises(KernelInputError, match="chunk: expected a C-ordered"):
        pack(x, taper, bins, chunk.astype(np.float64), 0)
    with pytest.raises(KernelInputError, match="multiple of 16"):
        pack(x, taper, bins, chunk, 3)
    sums = PairSums(2, 2, 1, SUMS)
    with pytest.raises(KernelInputError, match="2 bins x 2 channels x 2 rows"):
        sums.add(new_chunk(3, 2, 1, 16), 4)
    with pytest.raises(KernelInputError, match="0 to 16 epochs"):
        sums.add(chunk, 17)
    with pytest.raises(KernelInputError, match="C-ordered float32"):
        sums.add(chunk[::-1], 4)
    with pytest.raises(KernelInputError, match="merge"):
        sums.merge(PairSums(3, 2, 1, SUMS))
    with pytest.raises(KernelInputError, match="tapers"):
        dpss_tapers(6)
