"""Graph metrics of a Connectivity result keep names and bands."""

from __future__ import annotations

import numpy as np
import pytest

from brainforge.errors import InputError
from brainforge.measures.graph import graph_of
from brainforge.result import Connectivity


def connectivity():
    rng = np.random.default_rng(0)
    names = tuple(f"MEG {k}" for k in range(20))
    signed = np.triu(rng.standard_normal((20, 20)), 1)
    imcoh = signed - signed.T
    strong = np.abs(signed + signed.T)
    strong[4, :4] = strong[:4, 4] = strong[4, 5:] = strong[5:, 4] = 9.0
    bands = {"alpha": (8.0, 13.0), "beta": (13.0, 30.0)}
    values = {
        "wpli2_debiased": dict.fromkeys(bands, strong),
        "imcoh": dict.fromkeys(bands, imcoh),
    }
    return Connectivity(names, bands, dict.fromkeys(bands, 40), values)


def test_names_and_bands():
    graph = graph_of(connectivity(), density=0.2)
    assert set(graph.whole) == {"alpha", "beta"}
    assert graph.hubs["alpha"][0] == "MEG 4"
    assert graph.nodal["beta"]["strength"].shape == (20,)
    assert graph.whole["alpha"]["n_edges"] == 38


def test_signed_measure_is_taken_absolutely():
    graph = graph_of(connectivity(), "imcoh", density=0.5)
    assert graph.whole["alpha"]["n_edges"] == 95


def test_unknown_measure_is_named():
    with pytest.raises(InputError, match="a measure among wpli2_debiased, imcoh"):
        graph_of(connectivity(), "coh")
