"""A whole job with a multipole model: what the provenance says, what the interference becomes."""

from __future__ import annotations

import numpy as np
import pytest

import brainforge as bf
from brainforge.errors import InputError
from brainforge.recipe import recipe_from_toml

RECIPE = """
name = "multipoles"
[field_correction]
method = "{method}"
[artifacts]
method = "none"
[connectivity]
enabled = false
[graph]
enabled = false
"""


@pytest.fixture(scope="module")
def recording():
    return bf.datasets.Phantom(
        n_channels=150, layout="triaxial", duration=20.0, sfreq=500.0, seed=3, gaps=()
    ).recording()


@pytest.mark.parametrize("method, orders, n_inside", [("sss", [8, 3], 80), ("amm", [9, 2], 99)])
def test_the_result_names_origin_orders_and_rank(recording, method, orders, n_inside):
    result = bf.process(recording, recipe=recipe_from_toml(RECIPE.format(method=method)))
    step = result.provenance["operator"]["steps"][0]
    assert (step["method"], step["orders"]) == (method, orders)
    assert step["rank"] == step["n_inside"] <= n_inside
    np.testing.assert_allclose(step["origin"], bf.datasets.helmet.HEAD_CENTER, atol=5e-3)
    assert step["origin_from"] in ("head frame", "sensors")
    assert any(f"orders {orders[0]} inside and {orders[1]} outside" in s for s in result.steps)
    assert result.provenance["operator"]["rank"] <= step["rank"]
    # the drift below 2 Hz comes from far away, the alpha rhythm from the head
    spectra = result.spectra
    good = [n not in result.info.bads for n in spectra.channel_names]
    ratio = spectra.after[good] / spectra.before[good]
    alpha = (spectra.freqs > 9.5) & (spectra.freqs < 11)
    drift = (spectra.freqs > 1) & (spectra.freqs < 2)
    assert np.median(ratio[:, drift]) < 0.5 * np.median(ratio[:, alpha])


def test_too_few_channels_are_told_before_anything_else_is_said():
    few = bf.datasets.Phantom(n_channels=30, duration=15.0, sfreq=500.0, gaps=()).recording()
    for method in ("sss", "amm"):
        with pytest.raises(InputError, match="good channels for"):
            bf.process(few, recipe=recipe_from_toml(RECIPE.format(method=method)))
