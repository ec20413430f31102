"""The page's live part: figures beside targets, and what is not measured yet says so."""

from __future__ import annotations

import json

import pytest

from benchmarks import page, readme, session_end
from benchmarks.live_section import live_section
from benchmarks.machine import account

ACCOUNT = {**account(), "load_average": 0.4, "free_cores": 1.9}


def percentiles(p50, p99):
    return {"p50_ms": p50, "p99_ms": p99, "max_ms": 2 * p99}


def session(**more):
    ages = {
        "rate_hz": 20.0, "newest": percentiles(7.0, 30.0), "oldest": percentiles(56.0, 80.0),
        "since_arrival": percentiles(5.0, 20.0),
    }  # fmt: skip
    memory = {"first": 60e6, "last": 61e6, "most": 62e6}
    return {
        **ACCOUNT, "parameters": {"transport": "tcp", "minutes": 10.0},
        "samples": {"samples": 600_000, "in_gaps": 0},
        "ages": dict.fromkeys(("traces", "spectra", "topographies", "connectivity"), ages),
        "recorder_core": 0.021, "pipeline_core": 0.07,
        "cores": {"recorder": {"all": 0.021, "first_third": 0.022, "last_third": 0.02}},
        "own_bytes": {"recorder": memory, "pipeline": memory},
        "sync_ms": {"p50": 1.2, "p99": 14.0}, "stop_to_report_s": 2.8,
        "met": dict.fromkeys(("every_sample", "recorder_core", "age", "connectivity_age"), True),
        **more,
    }  # fmt: skip


def ingest_row(name, core, age):
    return {
        "name": name, "title": name.upper(), "writes": name == "recorder", "core": core,
        "core_first_half": core, "core_last_half": core, "age": age,
        "own_bytes": {"first": 60e6, "last": 60e6},
    }  # fmt: skip


INGEST = {
    **ACCOUNT, "parameters": {"seconds": 60.0}, "target_core": 0.04,
    "rows": [ingest_row("recorder", 0.02, percentiles(30.0, 60.0)),
             ingest_row("mne-lsl", 0.1, percentiles(9.0, 40.0)),
             ingest_row("labrecorder", 0.003, None)],
}  # fmt: skip
WARD = {
    **ACCOUNT, "parameters": {"patients": 15, "seconds": 120.0}, "target_patients": 15,
    "ages": dict.fromkeys(("all", "first_third", "last_third"), percentiles(40.0, 300.0)),
    "cores": {"recorder": 0.3, "pipeline": 0.6}, "own_bytes": {"first": 5e9, "last": 5e9},
    "longest_without_news_s": 0.7, "samples": 10**7, "in_gaps": 0, "every_sample": True,
    "restarts": 0, "real_time": True, "ready_s": 90.0, "met": True,
}  # fmt: skip
DAY = {
    **ACCOUNT, "parameters": {"hours": 24.0, "channels": 32}, "acceleration": 75.0, "end_s": 60.0,
    "own_bytes": {"recorder": {"first": 67e6, "last": 68e6, "growth": 1e6},
                  "pipeline": {"first": 200e6, "last": 300e6, "growth": 1e8}},
    "samples": {"received": 10, "stored": 8, "gaps": 2}, "ok": True, "restarts": 0,
    "flat_bytes": 64e6,
}  # fmt: skip
END = {
    **ACCOUNT, "name": session_end.WITHOUT, "minutes": 30.0, "n_channels": 306, "equal": True,
    "run": {"findings_s": 3.0, "outputs_s": 0.5, "streaming_rss_bytes": 5e8,
            "load_average": [0.1, 0.2], "free_cores": [2.0, 1.9]},
    "walls_s": [3.5], "median_wall_s": 3.5, "block_cpu_ms": 0.7, "peak_rss_bytes": 9e8,
}  # fmt: skip
RECOVERY = {
    "machine": ACCOUNT, "target_s": 10.0, "ok": True, "stored": 90_000, "lost": 0,
    "recovery": {"pipeline": {"n": 5, "p50_s": 3.1, "max_s": 4.2},
                 "recorder": {"n": 5, "p50_s": 0.6, "max_s": 11.0}},
}  # fmt: skip
BLOCK = {
    **ACCOUNT, "parameters": {"n_channels": 306},
    "parts": {"exact path": {"cpu_mean_ms": 0.2}},
    "immediate": {"p50_ms": 1.2, "p99_ms": 6.0, "cpu_p99_ms": 2.0, "cpu_mean_ms": 1.1,
                  "target_p99_ms": 5.0, "met": False},
    "calibration": {"refresh_cpu_s": 1.0, "refresh_window_s": 60.0, "share_of_a_core": 0.003},
    "both_paths": {"cpu_mean_ms": 1.7, "target_mean_ms": 2.8, "patients_a_core": 29.0,
                   "met": True},
    "connectivity": {"n_pairs": 46665, "n_bands": 5, "every_s": 0.5, "cpu_mean_ms": 11.0,
                     "cpu_p99_ms": 14.0, "target_ms": 50.0, "met": True,
                     "windows_used": 352, "windows_expected": 352},
}  # fmt: skip
PEERS = {
    **ACCOUNT, "clock": "CPU",
    "rows": [{"title": "ASR", "peer": "meegkit", "ours_ms": 2.0, "ours_p99_ms": 41.0,
              "peer_ms": 260.0, "ratio": 130.0, "target_p99_ms": 40.0, "accuracy": {"e": 0.1}}],
}  # fmt: skip
RESULTS = {
    "live_session_tcp": session(), "live_ingest": INGEST, "live_ward": WARD, "live_day": DAY,
    "session_end": {"format": 2, "rows": [END]}, "live_recovery": RECOVERY, "live_block": BLOCK,
    "live_peers": PEERS,
}  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    for name, result in RESULTS.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(result))
    return tmp_path


def test_every_figure_stands_beside_its_target(folder):
    text = live_section(folder)
    for line in (
        "| samples, each held to its number from the device | none unexplained | "
        "not measured yet | not measured yet | 600000 stored, 0 in gaps: met |",
        "| oldest sample when its trace is shown, p50 / p99 | p99 250 ms | not measured yet | "
        "not measured yet | 56 / 80 ms: met |",
        "| RECORDER | yes | 0.0200 (wanted 0.04: met) | 1× |",
        "| MNE-LSL | no | 0.1000 | 5× |",
        "| patients at once on one core | 15 | 15: met |",
        "200 → 300 MB; +100.0 MB: NOT met |",
        "| exactly | 10 = 8 + 2: met |",
        "report at most 5 s after stop | 3.50 s: met |",
        "| the same as offline | yes: met |",
        "| 10 s | 3.10 / 4.20 s: met |",
        "| 10 s | 0.60 / 11.00 s: NOT met |",
        "| 0 lost | 90000 stored, 0 lost: met |",
        "1.20 / 6.00 ms: NOT met |",
        "| 50 ms | 11.0 / 14.0 ms: met |",
        "| every one | 352 of 352 |",
        "| p99 40 ms: NOT met | e: 0.1 |",
        "`python -m benchmarks.live_day`, ",
    ):
        assert line in text
    assert text == live_section(folder)
    assert text in page.page(folder)


@pytest.mark.parametrize("name", RESULTS)
def test_what_is_not_measured_yet_says_so_and_how_to(folder, name):
    (folder / f"{name}.json").unlink()
    command = "live_session TRANSPORT" if name == "live_session_tcp" else name
    text = live_section(folder)
    assert f"Not measured yet: `python -m benchmarks.{command}" in text
    assert text in page.page(folder)
    readme.block(folder)


def test_figures_of_an_older_form_are_not_measured_yet(folder):
    (folder / "live_block.json").write_text(json.dumps({**ACCOUNT, "parts": {}}))
    assert "Not measured yet: `python -m benchmarks.live_block`." in live_section(folder)


def test_nothing_measured_says_nothing(tmp_path):
    assert live_section(tmp_path) == ""
    assert readme.live_rows(tmp_path) == []


def test_readme_quotes_live_figures(folder):
    lines = readme.live_rows(folder)
    assert lines[0] == (
        "| live: recorder of 306 channels at 1 kHz from LSL | 0.020 of a core | "
        "5.0× (MNE-LSL, in memory only) |"
    )
    assert any("median / 99 %, TCP | 7 / 30 ms" in line for line in lines)
    assert "| live: from stop to report, session of 30 minutes, without AEC | 3.5 s | |" in lines
    assert "| live: patients at once on one core | 15 | |" in lines
    (folder / "live_ward.json").write_text(json.dumps({**WARD, "real_time": False}))
    assert len(readme.live_rows(folder)) == len(lines) - 1
