"""Biquad cascades: their definition, SciPy, any cutting, and what they pass."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from brainforge.errors import KernelInputError
from brainforge.kernels.iir import design_causal, group_delay, sosfilt, steady_state
from tests.reference import iir as reference

SOS = design_causal(1000.0, 1.0, 100.0, notch=(50.0, 100.0, 150.0))


def run(x, sos=SOS, **options):
    return sosfilt(x, sos, np.zeros((len(sos), 2, x.shape[1])), **options)


@settings(derandomize=True, max_examples=40, deadline=None)
@given(
    n=st.sampled_from([0, 1, 3, 4, 7, 50, 201]),
    n_channels=st.sampled_from([0, 1, 5, 159, 160, 161, 306]),
    n_sections=st.integers(0, 7),
    dtype=st.sampled_from([np.float32, np.float64]),
    step=st.sampled_from([1, 2]),
    seed=st.integers(0, 2**31),
)
def test_equals_its_definition(n, n_channels, n_sections, dtype, step, seed):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, step * n_channels)).astype(dtype)[:, ::step]
    sos = SOS[:n_sections]
    got = run(x, sos)
    assert got.dtype == dtype
    want = reference.sosfilt(x, sos)
    np.testing.assert_allclose(got, want, atol=1e-12 if dtype is np.float64 else 1e-6)


def test_equals_scipy():
    x = np.random.default_rng(1).standard_normal((20000, 11)) + 50
    want = signal.sosfilt(SOS, x, axis=0)
    assert np.abs(run(x) - want).max() < 1e-12 * np.abs(x).max()
    got = run(x.astype(np.float32))
    assert np.abs(got - signal.sosfilt(SOS, x.astype(np.float32), axis=0)).max() < 1e-5
    assert got.dtype == np.float32


@settings(derandomize=True, max_examples=30, deadline=None)
@given(sizes=st.lists(st.integers(1, 60), min_size=1, max_size=20), dtype=st.sampled_from("fd"))
def test_any_cutting_gives_the_same_bits(sizes, dtype):
    x = np.random.default_rng(2).standard_normal((sum(sizes), 306)).astype(dtype)
    want = run(x)
    state, parts, at = np.zeros((len(SOS), 2, 306)), [], 0
    for size in sizes:
        parts.append(sosfilt(x[at : at + size], SOS, state))
        at += size
    np.testing.assert_array_equal(np.concatenate(parts), want)


def test_threads_buffers_and_place_change_no_bit():
    x = np.random.default_rng(3).standard_normal((123, 306))
    want = run(x)
    np.testing.assert_array_equal(run(x, n_threads=3), want)
    out = np.empty(x.shape, np.float32)
    assert run(x, out=out) is out
    np.testing.assert_array_equal(out, want.astype(np.float32))
    np.testing.assert_array_equal(run(x, out=x), want)


def test_passes_its_band_and_stops_the_rest():
    t = np.arange(20000) / 1000
    for freq, low, high in (
        (0.1, 0, 1e-3), (10, 0.99, 1.01), (30, 0.99, 1.01), (50, 0, 1e-3), (150, 0, 1e-3),
        (400, 0, 3e-2),
    ):  # fmt: skip
        got = run(np.sin(2 * np.pi * freq * t)[:, None])[10000:]
        assert low <= np.abs(got).max() <= high, freq


def test_the_delay_is_what_it_says():
    freqs = np.array([5.0, 10.0, 20.0, 40.0])
    delay = group_delay(SOS, freqs, 1000.0)
    t = np.arange(-6000, 6000) / 1000
    for freq, late in zip(freqs, delay):
        # the envelope of a long burst comes out later by the group delay
        burst = np.exp(-0.5 * (t / 0.6) ** 2) * np.exp(2j * np.pi * freq * t)
        got = np.abs(run(burst.real[:, None])[:, 0] + 1j * run(burst.imag[:, None])[:, 0])
        assert (got**2 @ t) / (got**2).sum() == pytest.approx(late, abs=2e-3)
    w = 2 * np.pi * freqs / 1000
    theirs = sum(signal.group_delay((s[:3], s[3:]), w=w)[1] for s in SOS) / 1000
    np.testing.assert_allclose(delay, theirs, rtol=1e-6)
    assert np.isnan(group_delay(SOS, [50.0], 1000.0)).all()


def test_steady_state_stays():
    sos = design_causal(1000.0, None, 40.0)
    level = np.array([3.0, -1e6, 0.0])
    state = steady_state(sos, level)
    np.testing.assert_allclose(
        state, signal.sosfilt_zi(sos)[:, :, None] * level, rtol=1e-9, atol=1e-12
    )
    got = sosfilt(np.tile(level, (500, 1)), sos, state)
    np.testing.assert_allclose(got, np.tile(level, (500, 1)), rtol=1e-9)
    band = run(np.zeros((1, 3)))
    np.testing.assert_allclose(
        sosfilt(np.tile(level, (500, 1)), SOS, steady_state(SOS, level)),
        np.tile(band, (500, 1)),
        atol=1e-4,
    )


def test_bad_input_is_refused():
    x, state = np.zeros((5, 3)), np.zeros((7, 2, 3))
    for args, options, text in (
        ((x.astype(np.int16), SOS, state), {}, "x: expected float32"),
        ((x + np.nan, SOS, state), {}, "x: expected finite"),
        ((x, SOS[:, :5], state), {}, "sections x 6"),
        ((x, 2 * SOS, state), {}, "a0 = 1"),
        ((x, SOS, state[:6]), {}, "state: .* shape \\(7, 2, 3\\)"),
        ((x, SOS, state.astype(np.float32)), {}, "state"),
        ((x, SOS, np.zeros((14, 2, 3))[::2]), {}, "C order"),
        ((x, SOS, state), {"out": np.zeros((5, 3), np.int16)}, "out"),
    ):
        with pytest.raises(KernelInputError, match=text):
            sosfilt(*args, **options)
    for edges, notch in (((1.0, 500.0), ()), ((40.0, 1.0), ()), ((0.0, 1.0), ()), ((1, 2), (600,))):
        with pytest.raises(KernelInputError, match="inside 0 to 500 Hz"):
            design_causal(1000.0, *edges, notch=notch)
    with pytest.raises(KernelInputError, match="order"):
        design_causal(1000.0, 1.0, 40.0, order=0)
    with pytest.raises(KernelInputError, match="vector"):
        steady_state(SOS, 3.0)
    with pytest.raises(KernelInputError, match="pole at 0 Hz"):
        steady_state(np.array([[1.0, 0, 0, 1, -1, 0]]), [1.0])
