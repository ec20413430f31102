"""Transforms in lanes filter as SciPy's do, whatever the length and the radices."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.fft

from brainforge.kernels.lane_fft import Passes, filter_lanes, paired_gains
from brainforge.kernels.vectors import WIDTH


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 8, 12, 15, 90, 750, 1728, 3200])
def test_filters_as_a_real_transform_does(n):
    passes = Passes(n)
    assert np.prod(passes.radices, dtype=int) == n
    assert sorted(passes.order) == list(range(n))
    rng = np.random.default_rng(n)
    response = rng.standard_normal(n + 1)
    x = rng.standard_normal((WIDTH, 2 * n))
    z = np.ascontiguousarray(x.T, dtype=np.float32).ravel()
    pairs, gains = paired_gains(response, passes)
    filter_lanes(z, passes.schedule, passes.twiddles, pairs, gains)
    want = scipy.fft.irfft(scipy.fft.rfft(x) * response, 2 * n)
    np.testing.assert_allclose(z.reshape(2 * n, WIDTH).T, want, atol=3e-6 * np.abs(want).max())


def test_lanes_do_not_touch_each_other():
    passes = Passes(60)
    rng = np.random.default_rng(0)
    pairs, gains = paired_gains(np.ones(61), passes)
    x = rng.standard_normal((120, WIDTH)).astype(np.float32)
    one, other = x.copy().ravel(), x.copy()
    other[:, 1:] *= np.float32(1e12)
    other = other.ravel()
    for z in (one, other):
        filter_lanes(z, passes.schedule, passes.twiddles, pairs, gains)
    np.testing.assert_array_equal(one[::WIDTH], other[::WIDTH])
