"""The benchmark runs at a tiny size: what it says of accuracy must hold, times are not judged."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from benchmarks.clock import take_turns
from benchmarks.comparison import Comparison, Figure, extrapolate
from benchmarks.machine import account
from benchmarks.peers import all_met, measure
from benchmarks.stages import STAGES
from benchmarks.stages.artifacts import score
from benchmarks.table import print_rows, save

#: those that need long data to mean anything: their numbers are of the full-size run
SLOW = {"ica", "artifacts"}


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    # warnings as errors would hold the peers to our rules
    folder = tmp_path_factory.mktemp("bench")
    stages = [s for s in STAGES if s not in SLOW]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("benchmarks.stages.multitaper.MOST", 4)
        patch.setattr("benchmarks.stages.multitaper.LEAST", 2)
        return measure(0.4, stages, n_channels=24, repeats=1, folder=str(folder))


def test_every_stage_has_times_ratio_and_accuracy(result):
    assert [row["name"] for row in result["stages"]] == [s for s in STAGES if s not in SLOW]
    for row in result["stages"]:
        assert row["peer"]["wall_s"] > 0
        assert row["accuracy"]
        for threads, timing in row["ours"]["by_threads"].items():
            assert timing["wall_s"] > 0
            assert row["ratio"][threads] == row["peer"]["wall_s"] / timing["wall_s"]


def test_every_bound_of_accuracy_is_kept(result):
    missed = [
        (row["name"], figure["text"], figure["value"])
        for row in result["stages"]
        for figure in row["accuracy"]
        if not figure["met"]
    ]
    assert not missed
    assert all_met(result)


def test_an_extrapolated_peer_is_marked(result):
    rows = {row["name"]: row for row in result["stages"]}
    peer = rows["multitaper"]["peer"]
    assert peer["extrapolated"]
    assert [m["units"] for m in peer["measured"]] == [2, 4]
    assert peer["units"] == 12
    assert not rows["psd"]["peer"]["extrapolated"]


def test_result_is_printed_and_saved(result, tmp_path, capsys):
    print_rows(result)
    printed = capsys.readouterr().out
    assert "Welch PSD" in printed
    assert result["machine"]["processor"] in printed.replace("\n", " ")
    save(result, tmp_path / "deep" / "peers.json")
    assert json.loads((tmp_path / "deep" / "peers.json").read_text()) == result


def test_account_names_versions():
    assert account()["versions"]["numpy"] == np.__version__
    assert account()["versions"]["python"].split(".")[:2] == [str(v) for v in sys.version_info[:2]]


def test_slow_calls_are_not_repeated_and_turns_change():
    order = []
    calls = {name: (lambda name=name: order.append(name)) for name in "ab"}
    timed = take_turns(calls, 2)
    assert order == ["a", "b", "a", "b", "b", "a"]
    assert len(timed.timings["a"].walls) == 2
    slow = take_turns(calls, 3, slow_s=-1.0, always=frozenset("b"))
    assert [len(slow.timings[n].walls) for n in "ab"] == [1, 3]


def test_extrapolation_counts_a_fixed_cost_once():
    stage = Comparison(
        "t", "", "", "", int, int, lambda a, b: [], units=10, unit="epochs", peer_units=(2, 4)
    )
    assert stage.extrapolated
    assert extrapolate(stage, {2: 3.0 + 2, 4: 3.0 + 4}) == pytest.approx(3.0 + 10)


def test_bounds():
    assert Figure("", 1.0, 1.0).met
    assert not Figure("", 1.1, 1.0).met
    assert not Figure("", 0.9, 1.0, at_least=True).met
    assert not Figure("", float("nan"), 1.0).met
    assert Figure("", 5.0).met


def test_score_matches_each_event_once():
    planted = np.array([100, 200, 300])
    assert score(np.array([95, 205, 300]), planted, 10) == 1.0
    assert score(np.array([100, 101]), planted, 10) == pytest.approx(2 / 5)
    assert score(np.array([], dtype=int), planted, 10) == 0.0
