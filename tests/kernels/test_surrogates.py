"""Null distributions: p-values, their correction, thresholds, seeds."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from brainforge.errors import KernelInputError
from brainforge.kernels.surrogates import (
    SCHEMES,
    Null,
    compared,
    draw_epochs,
    exchanged,
    rank_allowed,
    rotated,
    surrogate_rng,
)


def test_p_is_one_more_than_the_count_and_never_zero():
    null = Null(np.array([0.0, 2.5, 9.0]), 4, quantile=0.6)
    for value in (1.0, 2.0, 3.0, 2.5):
        null.add(np.array([value, value, value - 5]))
    test = null.result(7, "mine")
    np.testing.assert_allclose(test.p, [1.0, 0.6, 0.2])
    np.testing.assert_allclose(test.p_corrected, [1.0, 0.6, 0.2])
    np.testing.assert_allclose(test.threshold, [2.5, 2.5, -2.5], atol=1e-5)
    assert test.threshold_corrected == pytest.approx(2.5, abs=1e-5)
    assert (test.n_surrogates, test.seed, test.scheme, test.quantile) == (4, 7, "mine", 0.6)


def test_what_differs_by_rounding_counts_as_equal():
    test = compared(np.full(3, 0.3), lambda g: np.full(3, 0.3 - 1e-8), n_surrogates=19)
    np.testing.assert_array_equal(test.p, 1.0)
    np.testing.assert_array_equal(test.p_corrected, 1.0)
    assert (test.observed <= test.threshold).all()


def test_threshold_and_p_say_the_same():
    rng = np.random.default_rng(3)
    observed = rng.standard_normal(500) + 1
    for n, quantile in ((19, 0.95), (199, 0.95), (99, 0.9), (200, 0.975)):
        test = compared(
            observed, lambda g: g.standard_normal(500), n_surrogates=n, quantile=quantile
        )
        small = 1 - quantile + 1e-9
        np.testing.assert_array_equal(test.p <= small, observed > test.threshold)
        corrected = observed > test.threshold_corrected
        np.testing.assert_array_equal(test.p_corrected <= small, corrected)
        assert (test.p_corrected >= test.p).all()
        assert test.p.min() >= 1 / (n + 1)


def test_p_is_uniform_where_nothing_is_coupled():
    seed = 5
    observed = np.random.default_rng(seed).standard_normal(400)
    test = compared(observed, lambda g: g.standard_normal(400), n_surrogates=499, seed=seed)
    assert stats.kstest(test.p, "uniform").pvalue > 0.05, f"seed {seed}"


def test_the_correction_holds_the_family_wise_rate():
    seed, found = 9, 0
    rng = np.random.default_rng(seed)
    for k in range(200):
        test = compared(
            rng.standard_normal(50), lambda g: g.standard_normal(50), n_surrogates=39, seed=k
        )
        found += (test.p_corrected <= 0.05).any()
    assert 2 <= found <= 20, f"seed {seed}: {found} of 200, 10 expected"


def test_the_same_seed_gives_the_same_and_surrogates_do_not_depend_on_each_other():
    runs = [
        compared(np.zeros(5), lambda g: g.standard_normal(5), n_surrogates=49, seed=s, quantile=0.9)
        for s in (1, 1, 2)
    ]
    np.testing.assert_array_equal(runs[0].threshold, runs[1].threshold)
    assert (runs[0].threshold != runs[2].threshold).all()
    assert surrogate_rng(1, 30).random() == surrogate_rng(1, 30).random()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_draws_do_what_they_say(scheme):
    draw = draw_epochs(np.random.default_rng(2), scheme, 40, 30)
    assert draw.order.shape == draw.turn.shape == (40, 30)
    np.testing.assert_array_equal(np.sort(draw.order, axis=1), np.tile(np.arange(30), (40, 1)))
    np.testing.assert_allclose(np.abs(draw.turn), 1, atol=1e-6)
    moved = draw.order != np.arange(30)
    assert moved.any() == (scheme in ("permute", "shift"))
    assert (draw.turn != 1).any() == (scheme in ("sign", "phase"))
    if scheme == "shift":
        steps = (draw.order - np.arange(30)) % 30
        assert (steps == steps[:, :1]).all()
        assert len(np.unique(steps)) > 10
    if scheme == "sign":
        assert set(np.unique(draw.turn)) == {1, -1}
    for shape in ((0, 3), (3, 0), (1, 1)):
        assert draw_epochs(np.random.default_rng(1), scheme, *shape).order.shape == shape


def test_rotated_is_roll():
    x = np.random.default_rng(0).standard_normal((2, 4, 11))
    shifts = np.array([[0, 3, -2, 25], [11, 1, 10, -11]])
    wanted = [[np.roll(row, s) for row, s in zip(*both)] for both in zip(x, shifts)]
    np.testing.assert_array_equal(rotated(x, shifts), wanted)


def test_exchanged_takes_channels_from_the_epochs_named():
    x = np.random.default_rng(0).standard_normal((5, 3, 7))
    order = np.array([[4, 0], [2, 2], [1, 3]])
    got = exchanged(x, order)
    assert got.shape == (2, 3, 7)
    for place in range(2):
        for c in range(3):
            np.testing.assert_array_equal(got[place, c], x[order[c, place], c])


def test_bad_input_is_named():
    with pytest.raises(KernelInputError, match="n_surrogates: expected at least 19"):
        Null(np.zeros(3), 18)
    assert rank_allowed(19, 0.95) == 1
    with pytest.raises(KernelInputError, match="quantile: expected between 0 and 1"):
        Null(np.zeros(3), 100, 1.0)
    with pytest.raises(KernelInputError, match="observed: expected finite"):
        Null(np.array([np.nan]), 100)
    null = Null(np.zeros(3), 19)
    with pytest.raises(KernelInputError, match=r"values: expected shape \(3,\)"):
        null.add(np.zeros(4))
    with pytest.raises(KernelInputError, match="values: expected finite"):
        null.add(np.full(3, np.nan))
    with pytest.raises(KernelInputError, match="19 of them, got 0"):
        null.result(0, "")
    for _ in range(19):
        null.add(np.zeros(3))
    with pytest.raises(KernelInputError, match="one more"):
        null.add(np.zeros(3))
    with pytest.raises(KernelInputError, match="scheme: expected one of permute"):
        draw_epochs(np.random.default_rng(0), "mix", 2, 2)
    with pytest.raises(KernelInputError, match="shifts: expected one for each channel"):
        rotated(np.zeros((3, 9)), np.zeros(2, int))
    with pytest.raises(KernelInputError, match="order: expected epochs 0 to 1 for each of 3"):
        exchanged(np.zeros((2, 3, 9)), np.full((3, 2), 2))
    with pytest.raises(KernelInputError, match="seed: expected 0 or more"):
        surrogate_rng(-1, 0)
