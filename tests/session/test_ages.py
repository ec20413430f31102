"""Ages: percentiles to a millisecond, whatever the number of them."""

from __future__ import annotations

import numpy as np

from brainforge.session.ages import Ages


def test_percentiles_agree_with_numpy() -> None:
    rng = np.random.default_rng(4)
    values = rng.gamma(2.0, 0.02, 20_000)
    ages = Ages()
    for value in values:
        ages.add(value)
    for share in (1, 50, 99):
        found = ages.percentile(share)
        assert found is not None
        assert abs(found - np.percentile(values, share)) <= 0.0011
    said = ages.summary()
    assert said["n"] == 20_000
    assert said["max_ms"] == 1e3 * values.max()


def test_empty_and_extreme() -> None:
    ages = Ages()
    assert ages.summary() == {"n": 0, "p50_ms": None, "p99_ms": None, "max_ms": 0.0}
    ages.add(-0.1)
    assert ages.percentile(50) == 0.0
    ages.add(1e6)
    assert ages.summary()["max_ms"] == 1e9


def test_goes_on_from_a_checkpoint() -> None:
    one, other = Ages(), Ages()
    one.add(0.25)
    other.restore(one.state())
    other.add(0.5)
    assert one.summary()["n"] == 1
    assert other.summary()["n"] == 2
    assert other.percentile(100) == 0.5
