"""The newest samples: what is missing, what is masked, restarts."""

from __future__ import annotations

import numpy as np
import pytest

from brainforge.live.recent import Recent


def filled(size=100, pieces=(7, 30, 1, 250), seed=0):
    rng = np.random.default_rng(seed)
    recent, at, samples = Recent(3, size), 40, []
    for turn in range(20):
        n = pieces[turn % len(pieces)]
        x = rng.standard_normal((3, n)).astype(np.float32)
        bad = rng.random((1, n)) < 0.1
        recent.put(at, x, (np.array([turn % 3]), bad))
        good = np.ones((3, n), bool)
        good[turn % 3] = ~bad[0]
        samples.append((x, good))
        at += n
    return recent, [np.concatenate(s, axis=1) for s in zip(*samples)], at


def test_it_holds_the_last_samples_and_what_can_be_believed():
    recent, (x, good), stop = filled()
    assert recent.stop == stop
    data, believed = recent.window(stop - 100, stop)
    np.testing.assert_array_equal(data, x[:, -100:])
    np.testing.assert_array_equal(believed, good[:, -100:])
    assert recent.coverage(stop - 60, stop - 20) == pytest.approx(good[:, -60:-20].mean())
    np.testing.assert_allclose(recent.believed(stop - 60, stop), good[:, -60:].mean(axis=1))
    with pytest.raises(IndexError):
        recent.window(stop - 101, stop)
    with pytest.raises(IndexError):
        recent.put(stop - 1, x[:, :5])


@pytest.mark.parametrize("missing", [5, 60, 1000])
def test_what_is_missing_is_there_as_not_believed(missing):
    recent, (x, good), stop = filled()
    new = np.ones((3, 20), np.float32)
    recent.put(stop + missing, new)
    last = recent.stop
    assert last == stop + missing + 20
    data, believed = recent.window(last - 100, last)
    np.testing.assert_array_equal(data[:, -20:], new)
    assert believed[:, -20:].all()
    n = min(missing, 80)
    assert not believed[:, -20 - n : -20].any()
    if n < 80:
        np.testing.assert_array_equal(data[:, : 80 - n], x[:, -80 + n :])
        np.testing.assert_array_equal(believed[:, : 80 - n], good[:, -80 + n :])
    np.testing.assert_allclose(recent.believed(last - 100, last), believed.mean(axis=1))


def test_before_the_first_sample_nothing_is_believed():
    recent = Recent(2, 50)
    recent.put(1000, np.ones((2, 10), np.float32))
    _, believed = recent.window(960, 1010)
    assert believed.sum() == 20
    np.testing.assert_allclose(recent.believed(960, 1010), 0.2)
    assert recent.coverage(960, 1010) == pytest.approx(0.2)


def test_restored_it_goes_on():
    recent, _, stop = filled()
    other = Recent(3, 100)
    other.restore(recent.state())
    new = np.full((3, 33), 2, np.float32)
    for one in (recent, other):
        one.put(stop + 3, new)
    for a, b in zip(recent.window(stop - 60, stop + 36), other.window(stop - 60, stop + 36)):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(
        recent.believed(stop - 60, stop + 36), other.believed(stop - 60, stop + 36)
    )
    assert recent.coverage(stop - 60, stop) == other.coverage(stop - 60, stop)
