from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from brainforge.kernels.peaks import local_maxima, spaced_peaks, windows
from tests.reference import event_locked as reference


def test_local_maxima_take_plateaus_once_and_respect_runs():
    x = np.array([0.0, 3, 3, 1, 5, 2, 9, 9])
    assert local_maxima(x, 0.5).tolist() == [1, 4, 6]
    assert local_maxima(x, 4.0).tolist() == [4, 6]
    assert local_maxima(x, 0.5, np.array([[2, 4], [5, 6]])).tolist() == [2, 5]
    assert local_maxima(np.zeros(0), 0.0).size == 0


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.integers(0, 60), unique=True), st.integers(1, 12), st.integers(0, 99))
def test_spaced_peaks_equal_the_reference(samples, distance, seed):
    samples = np.array(sorted(samples), dtype=np.int64)
    heights = np.random.default_rng(seed).integers(0, 5, size=len(samples)).astype(float)
    got = spaced_peaks(heights, samples, distance).tolist()
    assert got == reference.spaced_peaks(heights, samples, distance)


def test_windows_stay_within_a_run():
    x = np.arange(20.0).reshape(1, 20)
    cut, kept = windows(x, np.array([1, 5, 12, 19]), 2, 3, np.array([[0, 10], [10, 20]]))
    assert kept.tolist() == [1, 2]
    assert cut.shape == (1, 2, 5)
    assert cut[0, 1].tolist() == [10, 11, 12, 13, 14]
    none, kept = windows(x, np.zeros(0, np.int64), 2, 3)
    assert none.shape == (1, 0, 5)
    assert not kept.size
