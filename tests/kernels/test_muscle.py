"""Muscle amplitude and score against their definition and MNE's."""

from __future__ import annotations

import mne
import numpy as np
import pytest

from brainforge.errors import KernelInputError
from brainforge.kernels.muscle import muscle_plan, muscle_score, window_amplitude
from tests.reference import muscle as reference


@pytest.mark.parametrize("sfreq", [300.0, 600.6, 1000.0, 1200.0, 2400.0])
@pytest.mark.parametrize("dtype", [np.int16, np.float32, np.float64])
def test_equals_the_definition(sfreq, dtype):
    plan = muscle_plan(sfreq)
    rng = np.random.default_rng(1)
    raw = (1000 * rng.standard_normal((3, 12 * plan.window + plan.reach))).astype(dtype)
    got = window_amplitude(raw, plan, 9, first=7)
    want = reference.window_amplitude(raw, plan.taps, plan.decim, 10, 9, 7)
    np.testing.assert_allclose(got, want, rtol=1e-5)
    assert 0.09 <= plan.window / sfreq <= 0.11
    rows = window_amplitude(raw, plan, 9, first=7, rows=[2, 0], scale=[2.0, 3.0], n_threads=2)
    np.testing.assert_allclose(rows, got[[2, 0]] * [[2], [3]], rtol=1e-5)
    near = window_amplitude(raw, plan, 9, first=7, offset=10.0)
    np.testing.assert_allclose(near, got, rtol=1e-3)


def test_power_survives_the_folding():
    plan = muscle_plan(1000.0)
    t = np.arange(30000) / 1000
    for freq in (113.0, 122.0, 131.0, 138.0):
        x = (1000 * np.sin(2 * np.pi * freq * t))[None].astype(np.float32)
        amplitude = window_amplitude(x, plan, 250)
        assert np.sqrt(np.mean(amplitude**2)) == pytest.approx(1000 / np.sqrt(2), rel=0.01)
    for freq in (0.0, 10.0, 50.0, 80.0, 180.0, 300.0):
        x = (1000 * np.cos(2 * np.pi * freq * t))[None].astype(np.float32)
        assert window_amplitude(x, plan, 250).max() < 5


@pytest.mark.parametrize("sfreq", [600.6, 1000.0])
def test_finds_the_bursts_that_mne_finds(sfreq):
    bursts = ((8.0, 1.0), (21.3, 0.5), (40.0, 2.0))
    plan = muscle_plan(sfreq)
    rng = np.random.default_rng(0)
    x = 100 * rng.standard_normal((20, round(60 * sfreq)))
    for at, length in bursts:
        a, b = round(at * sfreq), round((at + length) * sfreq)
        x[:15, a:b] += 250 * rng.standard_normal((15, b - a))
    counts = (x + 3000).astype(np.int16)
    n = (x.shape[1] - plan.reach) // plan.window + 1
    score = muscle_score(window_amplitude(counts, plan, n, offset=3000.0))
    times = (np.arange(n) * plan.window + plan.half) / sfreq
    raw = mne.io.RawArray(counts * 1e-15, mne.create_info(20, sfreq, "mag"), verbose=False)
    theirs, _ = mne.preprocessing.annotate_muscle_zscore(raw, threshold=4.0, ch_type="mag")
    inside = np.zeros(n, bool)
    for at, length in bursts:
        assert any(t["onset"] < at + length and t["onset"] + t["duration"] > at for t in theirs)
        assert score[(times > at) & (times < at + length - 0.1)].min() > 4
        inside |= (times > at - 0.3) & (times < at + length + 0.2)
    assert score[~inside].max() < 4


def test_abstains_where_the_band_does_not_fit():
    assert muscle_plan(250.0) is None
    assert muscle_plan(285.0) is None
    assert muscle_plan(300.0) is not None


def test_score_equals_the_definition_and_leaves_out_what_is_not_believed():
    rng = np.random.default_rng(2)
    amplitude = rng.uniform(1, 2, (5, 80))
    np.testing.assert_allclose(muscle_score(amplitude), reference.muscle_score(amplitude))
    worse = np.vstack([amplitude, np.full(80, 3.0), np.full(80, np.nan)])
    np.testing.assert_allclose(muscle_score(worse), reference.muscle_score(amplitude))
    amplitude[:, 40] = np.nan
    assert np.isnan(muscle_score(amplitude)[40])
    assert np.isfinite(np.delete(muscle_score(amplitude), 40)).all()
    assert muscle_score(np.zeros((3, 0))).shape == (0,)
    assert muscle_score(np.zeros((0, 1))).shape == (1,)


def test_bad_input_is_refused():
    with pytest.raises(KernelInputError, match="windows inside"):
        window_amplitude(np.zeros((2, 300), np.int16), muscle_plan(1000.0), 3)
