from __future__ import annotations

import numpy as np
import pytest

from brainforge.errors import KernelInputError
from brainforge.kernels.band_limit import analytic_band, as_runs, band_limit, band_response


def test_passes_its_band_and_stops_the_rest():
    t = np.arange(5_001) / 250.0
    for freq, gain in ((3.0, 0.0), (12.0, 1.0), (20.0, 1.0), (30.0, 0.0)):
        x = np.sin(2 * np.pi * freq * t)
        y = band_limit(x, 250.0, 10.0, 20.0)
        middle = slice(500, -500)
        assert np.abs(y[middle] - gain * x[middle]).max() < 2e-3, freq


def test_equals_the_response_applied_to_a_direct_transform():
    rng = np.random.default_rng(0)
    n, sfreq = 64, 100.0
    x = rng.normal(size=n)
    pad = min(int(2 * sfreq / 10.0) + 1, n - 1)
    x = x - x.mean()
    long = np.concatenate([x[pad:0:-1], x, x[-2 : -2 - pad : -1]])
    from scipy.fft import next_fast_len

    size = next_fast_len(len(long), real=True)
    long = np.concatenate([long, np.zeros(size - len(long))])
    k = np.arange(size)
    transform = np.exp(-2j * np.pi * np.outer(k, k) / size)
    freqs = np.abs(np.fft.fftfreq(size, 1 / sfreq))
    spectrum = transform @ long * band_response(freqs, 10.0, 20.0, 5.0, 5.0)
    want = (transform.conj() @ spectrum / size).real[pad : pad + n]
    np.testing.assert_allclose(band_limit(x, sfreq, 10.0, 20.0), want, atol=1e-10)


def test_keeps_constants_and_the_type_where_there_is_no_lower_edge():
    x = np.full((2, 301), 7.0, dtype=np.float32)
    y = band_limit(x, 100.0, 0.0, 10.0)
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, x, rtol=1e-5)


def test_runs_do_not_know_of_each_other():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(3, 1_000))
    runs = np.array([[0, 400], [450, 1_000]])
    y = band_limit(x, 200.0, 5.0, 30.0, runs=runs)
    other = x.copy()
    other[:, 400:450] = np.nan
    assert np.array_equal(y, band_limit(other, 200.0, 5.0, 30.0, runs=runs))
    assert np.array_equal(y[:, :400], band_limit(x[:, :400], 200.0, 5.0, 30.0))
    assert not y[:, 400:450].any()


@pytest.mark.parametrize("n", [0, 1, 2, 3, 17])
def test_short_and_empty_input(n):
    assert band_limit(np.ones(n), 250.0, 5.0, 35.0).shape == (n,)


def test_bad_input_is_named():
    with pytest.raises(KernelInputError, match="float32 or float64"):
        band_limit(np.arange(10), 100.0, 1.0, 10.0)
    with pytest.raises(KernelInputError, match="band"):
        band_limit(np.ones(10), 100.0, 60.0, 70.0)
    with pytest.raises(KernelInputError, match="band"):
        band_limit(np.ones(10), 100.0, 10.0, 5.0)
    for runs in ([[0, 20]], [[5, 8], [2, 4]], [[-1, 3]]):
        with pytest.raises(KernelInputError, match="runs"):
            as_runs(np.array(runs), 10)


def test_analytic_band_is_the_band_and_its_hilbert_transform():
    from scipy.signal import hilbert

    x = np.random.default_rng(5).normal(size=(2, 3, 1_001))
    z = analytic_band(x, 250.0, 10.0, 20.0)
    np.testing.assert_allclose(z.real, band_limit(x, 250.0, 10.0, 20.0), atol=1e-12)
    # away from the ends, where the mirrored samples of one and the wrapped ones of the other differ
    want = hilbert(band_limit(x, 250.0, 10.0, 20.0))
    assert np.abs(z - want)[..., 200:-200].max() < 0.02 * np.abs(want).max()
    assert analytic_band(x.astype(np.float32), 250.0, 10.0, 20.0).dtype == np.complex64
    assert analytic_band(x[..., :0], 250.0, 10.0, 20.0).shape == (2, 3, 0)
    assert np.isfinite(analytic_band(x[..., :1], 250.0, 10.0, 20.0)).all()
    with pytest.raises(KernelInputError, match="low"):
        analytic_band(x, 250.0, 0.0, 20.0)
