from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainforge.errors import KernelInputError
from brainforge.kernels.event_locked import (
    kuiper,
    kuiper_log10_p,
    locked_share,
    phase_statistics,
)
from tests.reference import event_locked as reference


@settings(max_examples=40, deadline=None, derandomize=True)
@given(n=st.integers(1, 40), seed=st.integers(0, 999))
def test_kuiper_equals_the_reference(n, seed):
    phases = np.random.default_rng(seed).vonmises(0.5, 1.0, size=(n, 3))
    want = [reference.kuiper(phases[:, i]) for i in range(3)]
    np.testing.assert_allclose(kuiper(phases), want, atol=1e-12)
    np.testing.assert_allclose(kuiper(phases + 1.3), want, atol=1e-12)


def test_probability_equals_the_series_and_does_not_underflow():
    for distance in (0.3, 0.4, 0.6, 0.9):
        p = reference.kuiper_p(distance, 23)
        if p < 1:
            assert kuiper_log10_p(np.array(distance), 23) == pytest.approx(np.log10(p), abs=1e-6)
    assert kuiper_log10_p(np.array(1.0), 1000) < -800
    assert kuiper_log10_p(np.array(0.01), 23) > -0.01


def test_agrees_with_mne():
    from mne.preprocessing.ctps_ import kuiper as peer

    turns = np.random.default_rng(0).uniform(0, 1, size=(30, 5)) ** 2
    distance, normed = peer(turns)
    got = kuiper(turns * 2 * np.pi)
    np.testing.assert_allclose(got, distance, atol=1e-12)
    # MNE gives -ln(p) / (2 n)
    want = -normed * 2 * 30 / np.log(10)
    np.testing.assert_allclose(kuiper_log10_p(got, 30), want, atol=1e-6)


def _trains(n_events=40, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(3, 20_000))
    events = np.sort(rng.choice(np.arange(2, 76), n_events, replace=False)) * 250
    shape = np.sin(2 * np.pi * 14 * np.arange(-25, 26) / 250.0) * np.hanning(51)
    for e in events:
        x[1, e - 25 : e + 26] += 4 * shape
    return x.astype(np.float32), events


def test_locked_trace_stands_out():
    x, events = _trains()
    phases = phase_statistics(x, events, 250.0)
    assert phases.n_events == 40
    assert phases.distance[1] > 0.8
    assert phases.log10_p[1] < -10
    assert (phases.log10_p[[0, 2]] > -3).all()
    share = locked_share(x, events, 250.0, (1.0, 40.0), (-0.2, 0.2))
    assert share[1] > 0.5
    assert (share[[0, 2]] < 0.05).all()


def test_exact_repetition_has_share_one():
    x = np.tile(np.random.default_rng(1).normal(size=250), 40)[None]
    events = np.arange(5, 35) * 250
    assert locked_share(x, events, 250.0, (1.0, 40.0), (-0.2, 0.4))[0] == pytest.approx(1.0)


def test_few_events_give_no_score():
    x, events = _trains()
    assert not phase_statistics(x, events[:2], 250.0).distance.any()
    assert not locked_share(x, events[:1], 250.0, (0.0, 40.0), (-0.2, 0.2)).any()
    assert not locked_share(x, events[:0], 250.0, (0.0, 40.0), (-0.2, 0.2)).any()


def test_stretches_that_leave_a_run_are_left_out():
    x, events = _trains()
    runs = np.array([[0, 9_000], [9_500, 20_000]])
    changed = x.copy()
    changed[:, 9_000:9_500] = 1e9
    a = locked_share(x, events, 250.0, (1.0, 40.0), (-0.2, 0.2), runs=runs)
    b = locked_share(changed, events, 250.0, (1.0, 40.0), (-0.2, 0.2), runs=runs)
    assert np.array_equal(a, b)


def test_bad_input_is_named():
    with pytest.raises(KernelInputError, match="at least one event"):
        kuiper(np.zeros((0, 3)))
    with pytest.raises(KernelInputError, match="traces x samples"):
        locked_share(np.zeros(100), np.array([50]), 250.0, (1.0, 40.0), (-0.1, 0.1))
