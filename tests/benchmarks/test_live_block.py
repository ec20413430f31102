"""The live benchmark runs at a tiny size and says all that it promises; times are not judged."""

from __future__ import annotations

import os

import pytest

from benchmarks.live_block import Stopwatch, measure, print_result


def test_every_part_has_its_figures(capsys):
    before = os.sched_getaffinity(0)
    result = measure(20.0, n_channels=12)
    assert os.sched_getaffinity(0) == before
    rows = result["parts"]
    assert set(rows) == {"immediate path", "snapshots", "exact path"}
    for row in rows.values():
        assert 0 < row["p50_ms"] <= row["p99_ms"] <= row["worst_ms"]
    assert rows["snapshots"]["mean_ms"] < rows["immediate path"]["mean_ms"]
    learning = result["calibration"]
    assert 0 < learning["share_of_a_core"] < learning["refresh_cpu_s"]
    both = result["both_paths"]
    assert both["cpu_mean_ms"] == pytest.approx(
        rows["immediate path"]["cpu_mean_ms"]
        + rows["exact path"]["cpu_mean_ms"]
        + 50 * learning["share_of_a_core"]
    )
    assert both["met"] == (both["cpu_mean_ms"] <= both["target_mean_ms"])
    update = result["connectivity"]
    assert update["n_pairs"] == 12 * 11 // 2
    assert update["windows_used"] == update["windows_expected"]
    assert update["cpu_p99_ms"] > 0
    assert update["lag_s"] < 0.25 + 1e-9
    print_result(result)
    assert "patients a core" in capsys.readouterr().out


def test_stopwatch_adds_up_what_it_saw():
    watch = Stopwatch()
    for part in ("a", "b", "a", "b"):
        assert watch(part, lambda: 3) == 3
    watch.wall = {"a": [0.001, 0.002]}
    watch.cpu = watch.wall
    row = watch.row("a", 4)
    assert row["mean_ms"] == pytest.approx(0.75)
    assert row["worst_ms"] == pytest.approx(2.0)
