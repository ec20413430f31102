"""The live benchmark runs at a tiny size and says all that it promises; times are not judged."""

from __future__ import annotations

import os

import pytest

from benchmarks.live_block import Stopwatch, measure, print_result


def test_every_part_has_its_figures(capsys):
    before = os.sched_getaffinity(0)
    result = measure(10.0, n_channels=12)
    assert os.sched_getaffinity(0) == before
    assert set(result["parts"]) == {
        "filter", "projection", "spectra, cross-spectra, coherence", "result", "exact",
    }  # fmt: skip
    for row in [*result["parts"].values(), result["immediate"]]:
        assert 0 < row["p50_ms"] <= row["p99_ms"] <= row["worst_ms"]
    both = result["both_paths"]
    assert both["cpu_mean_ms"] == pytest.approx(
        result["immediate"]["cpu_mean_ms"] + result["parts"]["exact"]["cpu_mean_ms"]
    )
    assert both["met"] == (both["cpu_mean_ms"] <= both["target_mean_ms"])
    print_result(result)
    assert "patients a core" in capsys.readouterr().out


def test_stopwatch_adds_parts_block_by_block():
    watch = Stopwatch()
    for part in ("a", "b", "a", "b"):
        assert watch(part, lambda: 3) == 3
    watch.wall = {"a": [0.001, 0.002], "b": [0.003, 0.001]}
    watch.cpu = watch.wall
    row = watch.row(("a", "b"))
    assert row["mean_ms"] == pytest.approx(3.5)
    assert row["worst_ms"] == pytest.approx(4.0)
