"""Phantoms of five minutes, end to end: what was planted is found, and nothing besides."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest

import brainforge as bf
from brainforge.result import Connectivity

REASON = {"dead": "flat", "railing": "railed", "noisy": "noisy", "gain_drift": "gain_drift"}
SEEDS = [pytest.param(s, marks=[] if s == 0 else pytest.mark.slow) for s in range(10)]


def _rank(connectivity: Connectivity, band: str, sensors: list[str]) -> float:
    """Return the share of all edges of the band that are stronger than this one."""
    values = connectivity.values["wpli2_debiased"][band]
    i, j = (connectivity.channel_names.index(n) for n in sensors)
    upper = values[np.triu_indices(len(values), 1)]
    return float(np.mean(upper > values[i, j]))


@pytest.mark.parametrize("seed", SEEDS)
def test_what_was_planted_is_found_and_nothing_besides(seed: int) -> None:
    # a gain that falls by just a fifth is the least that has to be found
    phantom = bf.datasets.Phantom(duration=300.0, seed=seed, gain_loss=0.2)
    truth = phantom.truth()
    result = bf.process(phantom.recording())
    print("seed", seed)

    found = {(b.name, b.reason) for b in result.quality.bads}
    assert found == {(b["name"], REASON[b["kind"]]) for b in truth["bad_channels"]}

    assert result.connectivity is not None
    for pair in truth["couplings"]:
        assert pair["distance_m"] >= 0.08
        assert _rank(result.connectivity, pair["band"], pair["sensors"]) < 0.02
    for pair in truth["independent_pairs"]:
        assert _rank(result.connectivity, pair["band"], pair["sensors"]) >= 0.02

    assert result.artifacts is not None
    assert abs(result.artifacts.ecg.n_events - len(truth["heartbeats"])) <= 3
    assert abs(result.artifacts.eog.n_events - len(truth["blinks"])) <= 4
    assert result.artifacts.ecg.reduction_db >= 6
    assert result.artifacts.eog.reduction_db >= 10

    gaps = [(g["start_s"], g["n_samples"]) for g in result.recording["gaps"]]
    assert gaps == [
        (pytest.approx(g["start"] / phantom.sfreq), g["stop"] - g["start"]) for g in truth["gaps"]
    ]
    planted = next(s for s in truth["sources"] if s["name"] == "alpha occipital")
    peak = result.finding("alpha_peak").value
    assert peak == pytest.approx(planted["peaks"][0]["frequency_hz"], abs=0.3)


def test_merging_halves_in_any_order_agrees_with_the_whole() -> None:
    """A stretch measured in parts, merged in every order, gives the whole's connectivity."""
    from brainforge.backend import Backend
    from brainforge.block import Block
    from brainforge.measures.connectivity import ConnectivityMeasure

    seed = 21
    print("seed", seed)
    phantom = bf.datasets.Phantom(n_channels=20, duration=60.0, seed=seed, gaps=())
    info = phantom.info.with_bads(())
    x = np.array(phantom.recording().read(0, phantom.n_samples).data, dtype=np.float32)
    cuts = [0, 14_321, 33_000, 60_000]
    parts = []
    for a, b in pairwise(cuts):
        measure = ConnectivityMeasure(info, Backend())
        measure.update(Block(np.ascontiguousarray(x[:, a:b]), info, a))
        parts.append(measure.state())
    whole = ConnectivityMeasure(info, Backend())
    whole.update(Block(x, info, 0))
    expected = whole.result()
    for first, second in combinations(range(3), 2):
        third = 3 - first - second
        merged = ConnectivityMeasure(info, Backend())
        merged.restore(parts[second])
        for other in (third, first):
            piece = ConnectivityMeasure(info, Backend())
            piece.restore(parts[other])
            merged.merge(piece)
        got = merged.result()
        assert got.n_epochs == expected.n_epochs
        for measure, bands in expected.values.items():
            for band, values in bands.items():
                np.testing.assert_allclose(got.values[measure][band], values, atol=1e-6)
