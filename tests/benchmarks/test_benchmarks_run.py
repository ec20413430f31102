"""The benchmark runs at a tiny size: what it says of accuracy must hold, times are not judged."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from benchmarks.clock import take_turns
from benchmarks.comparison import Comparison, Figure, extrapolate
from benchmarks.machine import account, free_cores
from benchmarks.peers import all_met, main, measure
from benchmarks.sizes import Size
from benchmarks.stages import NEED_LENGTH, STAGES
from benchmarks.stages.artifacts import score
from benchmarks.stages.ica import amari_non_gaussian, peer_unmixing
from benchmarks.store import load_rows
from benchmarks.table import print_rows
from brainforge.kernels.picard import picard

#: those that need long data to mean anything, and MNE's report, which takes 10 s
LEFT_OUT = NEED_LENGTH | {"report"}
RUN = [s for s in STAGES if s not in LEFT_OUT]


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    # warnings as errors would hold the peers to our rules
    folder = tmp_path_factory.mktemp("bench")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("benchmarks.stages.multitaper.MOST", 4)
        patch.setattr("benchmarks.stages.multitaper.LEAST", 2)
        return list(measure(Size(0.35, 20), RUN, repeats=1, folder=str(folder)))


def test_every_stage_has_times_ratio_and_accuracy(result):
    assert [row["name"] for row in result] == RUN
    for row in result:
        assert row["peer"]["wall_s"] > 0
        assert row["accuracy"]
        for threads, timing in row["ours"]["by_threads"].items():
            assert timing["wall_s"] > 0
            assert row["ratio"][threads] == row["peer"]["wall_s"] / timing["wall_s"]


def missed(rows):
    return [
        (row["name"], figure["text"], figure["value"])
        for row in rows
        for figure in row["accuracy"]
        if not figure["met"]
    ]


def test_every_bound_of_accuracy_is_kept(result):
    assert not missed(result)


def test_a_bound_that_is_not_kept_fails_the_run(result):
    row = next(row for row in result if row["name"] == "psd")
    assert all_met([row])
    figures = [{**figure, "met": False} for figure in row["accuracy"]]
    assert not all_met([{**row, "accuracy": figures}])


def test_an_extrapolated_peer_is_marked(result):
    rows = {row["name"]: row for row in result}
    peer = rows["multitaper"]["peer"]
    assert peer["extrapolated"]
    assert [m["units"] for m in peer["measured"]] == [2, 4]
    assert peer["units"] == 10
    assert peer["law"] == "line through 2 and 4 of 10 epochs"
    assert not rows["psd"]["peer"]["extrapolated"]


def test_rows_are_printed(result, capsys):
    print_rows(result)
    printed = capsys.readouterr().out
    assert "Welch PSD" in printed
    assert "35×: " in printed
    assert result[0]["machine"]["processor"] in printed.replace("\n", " ")


def test_a_run_in_slices_fills_one_file(tmp_path, capsys):
    path = tmp_path / "peers.json"
    tiny = ["--minutes", "0.35", "--channels", "20", "--repeats", "1", "--json", str(path)]
    both = [*tiny, "--only", "psd,hfc"]
    assert main([*both, "--budget", "0"]) == 0
    assert [row["name"] for row in load_rows(path)] == ["psd"]
    assert "the budget is spent" in capsys.readouterr().err
    assert main([*both, "--fresh", "1"]) == 0
    assert "1 rows" in capsys.readouterr().out
    assert [row["name"] for row in load_rows(path)] == ["psd", "hfc"]
    with pytest.raises(SystemExit):
        main([*tiny, "--only", "nothing"])


def test_a_size_beyond_the_peers_runs_the_product_alone(tmp_path, monkeypatch):
    monkeypatch.setattr("benchmarks.sizes.PEER_CHANNELS", 10)
    row = next(measure(Size(0.35, 20), ["psd"], repeats=1, folder=str(tmp_path)))
    assert row["peer"]["wall_s"] is None
    assert row["peer"]["extrapolated"]
    assert row["accuracy"] == []
    assert row["ratio"] == {}


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


def test_picard_equals_the_peer_over_non_gaussian_components():
    rng = np.random.default_rng(3)
    x = np.concatenate([rng.laplace(size=(6, 8000)), rng.standard_normal((3, 8000))])
    x = rng.standard_normal((9, 9)) @ x
    values, vectors = np.linalg.eigh(x @ x.T / x.shape[1])
    x = ((vectors / np.sqrt(values)).T @ x).astype(np.float32)
    x -= x.mean(axis=1, keepdims=True)
    fit = picard(x, ortho=True, tol=1e-6)
    distance, count = amari_non_gaussian(fit.matrix, peer_unmixing(x), x)
    assert count == 6
    assert distance < 1e-2
    turned = np.roll(fit.matrix, 1, axis=0)[:, ::-1]
    assert amari_non_gaussian(turned, peer_unmixing(x), x)[0] > 0.1


def test_free_cores_is_a_number_of_cores():
    assert 0.2 < free_cores(2, 4) < 2.5
