"""Lanes of counts: every dtype, every number of rows and samples, no sample beyond the row."""

from __future__ import annotations

import numpy as np
import pytest

from brainforge.kernels.decimate import DTYPES, decimate, polyphase
from brainforge.kernels.lane_fir import OUTPUTS, TILE, fir_lanes, read_lanes
from brainforge.kernels.vectors import WIDTH


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_rows", [1, WIDTH - 1, WIDTH])
@pytest.mark.parametrize(("n", "left"), [(5, 5), (40, 40), (40, 17), (16, 0)])
def test_counts_become_lanes_and_nothing_beyond_the_row(dtype, n_rows, n, left):
    rng = np.random.default_rng(n)
    flat = rng.integers(-30000, 30000, n_rows * 50).astype(dtype)
    flat.flags.writeable = False
    begins = np.arange(n_rows) * 50
    offset = rng.integers(-99, 99, n_rows).astype(DTYPES[dtype])
    z = np.full(n * WIDTH, np.nan, np.float32)
    read_lanes(flat, begins, n_rows - 1, left, offset, n, z)
    got = z.reshape(n, WIDTH).T[:n_rows]
    want = np.zeros((n_rows, n))
    want[:, :left] = flat.reshape(n_rows, 50)[:, :left] - offset[:, None]
    np.testing.assert_array_equal(got, want.astype(np.float32))


def test_an_output_is_the_same_wherever_it_lies():
    rng = np.random.default_rng(1)
    places = np.array([0, 1, 4, 9])
    taps = rng.standard_normal(4).astype(np.float32)
    z = rng.standard_normal(200 * WIDTH).astype(np.float32)
    n = 3 * OUTPUTS + 5
    whole, one = np.zeros(n * WIDTH, np.float32), np.zeros(WIDTH, np.float32)
    fir_lanes(z, 2, 3, places, taps, whole, 0, n)
    for m in range(n):
        fir_lanes(z, 2 + 3 * m, 3, places, taps, one, 0, 1)
        np.testing.assert_array_equal(one, whole[m * WIDTH : (m + 1) * WIDTH])


def test_tiles_and_cuts_change_no_bit():
    rng = np.random.default_rng(2)
    raw = rng.integers(-9999, 9999, (17, 3 * TILE)).astype(np.int16)
    phases = polyphase(rng.standard_normal(73), 4)
    n = (raw.shape[1] - 73) // 4
    whole = decimate(raw, phases, n)
    parts = [decimate(raw, phases, min(77, n - m), first=4 * m) for m in range(0, n, 77)]
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), whole)
