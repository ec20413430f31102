"""The decimator against its float64 definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainforge.errors import KernelInputError
from brainforge.kernels.decimate import decimate, polyphase
from tests.reference import fir as reference


def counts(rng, shape, dtype):
    if np.issubdtype(dtype, np.integer):
        top = min(np.iinfo(dtype).max, 2**23)
        return rng.integers(-top, top, shape).astype(dtype)
    return (1e5 * rng.standard_normal(shape)).astype(dtype)


@settings(max_examples=60, derandomize=True, deadline=None)
@given(
    k=st.sampled_from([1, 2, 3, 4, 5, 9, 20]),
    n_taps=st.integers(1, 90),
    n_channels=st.integers(1, 5),
    n_out=st.integers(1, 700),
    first=st.integers(0, 7),
    spare=st.integers(0, 30),
    dtype=st.sampled_from([np.int16, np.int32, np.float32, np.float64]),
)
def test_equals_the_definition(k, n_taps, n_channels, n_out, first, spare, dtype):
    rng = np.random.default_rng(k * 1000 + n_out)
    taps = rng.standard_normal(n_taps)
    raw = counts(rng, (n_channels, first + (n_out - 1) * k + n_taps + spare), dtype)
    offset, scale = rng.uniform(-100, 100, n_channels), rng.uniform(0.1, 2, n_channels)
    got = decimate(raw, polyphase(taps, k), n_out, first=first, offset=offset, scale=scale)
    want = reference.decimate(raw, taps, k, n_out, first, offset, scale)
    size = np.abs(raw).max() * np.abs(taps).sum() * 2
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, want, rtol=0, atol=3e-7 * size)


def test_a_large_offset_in_wide_counts_costs_no_precision():
    rng = np.random.default_rng(3)
    raw = 2**30 + rng.integers(-50, 50, (2, 4000)).astype(np.int32)
    taps = rng.standard_normal(31)
    got = decimate(raw, polyphase(taps, 4), 900, offset=2.0**30)
    want = reference.decimate(raw - 2**30, taps, 4, 900)
    np.testing.assert_allclose(got, want, atol=1e-6 * np.abs(want).max())


def test_rows_views_threads_and_outputs_in_place():
    rng = np.random.default_rng(4)
    raw = counts(rng, (9, 3000), np.int16)
    phases = polyphase(rng.standard_normal(20), 4)
    whole = decimate(raw, phases, 700)
    rows = [7, 0, 3]
    out = np.full((3, 800), np.nan, np.float32)
    frozen = raw.copy()
    frozen.flags.writeable = False
    decimate(frozen, phases, 700, rows=rows, out=out, at=50, n_threads=2)
    np.testing.assert_array_equal(out[:, 50:750], whole[rows])
    assert np.isnan(out[:, :50]).all()
    assert np.isnan(out[:, 750:]).all()
    np.testing.assert_array_equal(decimate(raw[::2], phases, 700), whole[::2])
    part = decimate(raw[:, 100:2500], phases, 500)
    np.testing.assert_array_equal(part, decimate(raw[:, 100:2500].copy(), phases, 500))
    wide = np.asfortranarray(raw)
    np.testing.assert_array_equal(decimate(wide, phases, 700), whole)


def test_empty_input_gives_empty_output():
    phases = polyphase([1.0], 1)
    assert decimate(np.zeros((0, 10), np.int16), phases, 10).shape == (0, 10)
    assert decimate(np.zeros((3, 0), np.int16), phases, 0).shape == (3, 0)


@pytest.mark.parametrize(
    "change",
    [
        {"raw": np.zeros((2, 10), np.int64)},
        {"raw": np.zeros(10, np.int16)},
        {"first": -1},
        {"n_out": 11},
        {"rows": [2]},
        {"offset": [1.0, 2.0, 3.0]},
        {"scale": np.nan},
        {"out": np.zeros((2, 5), np.float32)},
    ],
)
def test_bad_input_is_refused(change):
    given_args = {
        "raw": np.zeros((2, 10), np.int16),
        "phases": polyphase([1.0], 1),
        "n_out": 8,
        **change,
    }
    with pytest.raises(KernelInputError, match="expected"):
        decimate(**given_args)


def test_bad_taps_are_refused():
    with pytest.raises(KernelInputError, match="taps"):
        polyphase([], 2)
