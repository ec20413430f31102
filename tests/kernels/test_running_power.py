"""Running sums of periodograms: lengths with and without lanes, devices, any cutting."""

from __future__ import annotations

import numpy as np
import pytest

from brainforge.errors import KernelInputError
from brainforge.kernels.namespace import TRAFFIC
from brainforge.kernels.psd import WelchPlan, folded
from brainforge.kernels.running_power import RunningPower
from tests.emulator.strict import fake_device, put
from tests.reference import psd as reference

#: products of 2, 3 and 5, and lengths that are not
LENGTHS = [2, 3, 4, 5, 8, 60, 100, 250, 7, 11, 77, 131]


def _case(n: int, n_rows: int):
    rng = np.random.default_rng(n)
    x = (3 + rng.standard_normal((n_rows, 9 * n + 1))).astype(np.float32)
    plan = WelchPlan(100.0, n, (n + 1) // 2)
    keep = rng.random((n_rows, plan.n_segments(x.shape[1]))) > 0.2
    return x, plan, keep


@pytest.mark.parametrize("n", LENGTHS)
@pytest.mark.parametrize("n_rows", [1, 16, 37])
def test_equals_the_definition(n, n_rows):
    x, plan, keep = _case(n, n_rows)
    power = RunningPower(plan, n_rows)
    power.add(x, keep, n_threads=2)
    want = np.zeros((n_rows, n // 2 + 1))
    for c, s in np.argwhere(keep):
        one = x[None, c, s * plan.step :][:, :n]
        want[c] += reference.welch_sums(one, 100.0, n, plan.step, "hann")[0][0]
    got = folded(power.sums(), plan)
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5 * want.max())


@pytest.mark.parametrize("n", [60, 77])
def test_cut_between_pairs_the_bits_are_the_same(n):
    x, plan, keep = _case(n, 20)
    rows = np.arange(20)[::-3].copy()
    whole, parts = (RunningPower(plan, len(rows)) for _ in range(2))
    whole.add(x, keep[rows], rows=rows)
    cut = 3 * plan.step + 5
    parts.add(x[:, : cut + n], keep[rows, :4], rows=rows)
    first = 4 * plan.step - cut
    parts.add(x[:, cut:], keep[rows, 4:], rows=rows, first=first, before=x[:, :cut], n_threads=2)
    np.testing.assert_array_equal(parts.sums(), whole.sums())
    again = whole.copy()
    again.add(x, keep[rows], rows=rows)
    np.testing.assert_allclose(again.sums(), 2 * whole.sums())
    np.testing.assert_array_equal(parts.sums(), whole.sums())


@pytest.mark.parametrize("n", [60, 77])
def test_sums_that_are_set_merged_or_on_a_device(n):
    x, plan, keep = _case(n, 5)
    here = RunningPower(plan, 5)
    here.add(x, keep)
    resumed = RunningPower(plan, 5)
    resumed.set(here.sums())
    with fake_device():
        home = TRAFFIC.to_host
        resumed.add(put(x), keep)
        resumed.merge(here)
        resumed.add(x, keep)
        assert TRAFFIC.to_host == home
        got = folded(resumed.sums(), plan)
        assert TRAFFIC.to_host == home + 1
    want = 4 * folded(here.sums(), plan)
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5 * want.max())
    with pytest.raises(KernelInputError, match="other"):
        here.merge(RunningPower(plan, 4))
