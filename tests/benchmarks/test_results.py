"""What is made of the rows: merging, extrapolation, targets; and pages that hold what they give."""

from __future__ import annotations

import json

import pytest

from benchmarks import job, page, pictures, readme, start
from benchmarks.figures import write_html
from benchmarks.laws import fill
from benchmarks.machine import account
from benchmarks.sizes import grid, headline
from benchmarks.store import is_fresh, load_rows, merge, save_rows
from benchmarks.table import target
from benchmarks.targets import judge


def row(name="psd", minutes=5.0, n_channels=306, peer=10.0, ours=0.5, **more):
    """Return a row as `runner.run` makes it."""
    measured = [] if peer is None else [{"units": 1, "wall_s": peer, "cpu_s": peer, "walls_s": []}]
    by_threads = {t: {"wall_s": ours, "cpu_s": ours, "walls_s": [ours]} for t in ("2", "1")}
    made = {
        "name": name, "title": name.upper(), "minutes": minutes, "n_channels": n_channels,
        "amount": "some", "seed": 7, "sfreq": 1000.0, "logical_bytes": 0, "notes": [],
        "peer": {
            "label": "them", "threads": 1, "wall_s": peer, "extrapolated": peer is None,
            "law": "", "unit": "", "units": 1, "measured": measured,
        },
        "ours": {"label": "we", "by_threads": by_threads},
        "ratio": {} if peer is None else {t: peer / ours for t in by_threads},
        "accuracy": [
            {"text": "error", "value": 1e-7, "bound": 1e-6, "at_least": False, "met": True}
        ],
        **account(), "load_average": [0.1, 0.2], "free_cores": [2.0, 1.9], **more,
    }  # fmt: skip
    return {**made, "target": judge(made)}


def job_row(name, **more):
    run = {
        "wall_s": 12.0, "cpu_s": 20.0, "peak_rss_bytes": 1.5e9, "load_average": [0.1, 0.2],
        "free_cores": [2.0, 1.9],
        "timings": {"preprocess_s": 4.0, "report_s": 1.0, "connectivity_s": 2.0, "total_s": 10.0},
        "found": {"bad_channels": ["A1 flat"], "heartbeats": 60, "blinks": 9, "removed": ["ecg"]},
    }  # fmt: skip
    return {
        "name": name, "minutes": 30.0, "n_channels": 306, **account(), "run": run,
        "walls_s": [12.0], "median_wall_s": 12.0, "peak_rss_bytes": 1.5e9, **more,
    }  # fmt: skip


def peer_row(minutes, per_minute):
    seconds = {"preprocess_s": 1.0 + per_minute * minutes, "report_s": 3.0, "aec_s": 2.0 * minutes}
    return {
        "name": job.PEER, "minutes": minutes, "n_channels": 306, **account(),
        "seconds": seconds, "duration_s": 60 * minutes, "peak_rss_bytes": 4e9,
    }  # fmt: skip


JOBS = [job_row(job.WITH), peer_row(5.0, 20.0), peer_row(10.0, 20.0)]


def test_a_new_row_replaces_its_like(tmp_path):
    path = tmp_path / "deep" / "peers.json"
    merge(path, [row("psd"), row("hfc")], ("psd", "hfc"), fill)
    merge(path, [row("psd", ours=0.25), row("psd", minutes=10.0)], ("psd", "hfc"), fill)
    rows = load_rows(path)
    assert [(r["name"], r["minutes"]) for r in rows] == [("psd", 5), ("psd", 10), ("hfc", 5)]
    assert rows[0]["ratio"]["2"] == 40.0
    assert not path.with_suffix(".part").exists()


def test_fresh_rows_are_told_by_their_date():
    assert is_fresh(row(), 1.0)
    assert not is_fresh(row(date="2001-01-01T00:00:00+00:00"), 1.0)
    assert not is_fresh(None, 1.0)


def test_length_goes_on_along_a_line():
    rows = [row(minutes=m, peer=1.0 + 2 * m) for m in (2.5, 5.0, 10.0)]
    found = fill([*rows, row(minutes=30.0, peer=None)])[-1]
    assert found["peer"]["wall_s"] == pytest.approx(61.0)
    assert found["peer"]["law"] == "line through 5 and 10 min"
    assert found["ratio"]["2"] == pytest.approx(122.0)
    assert found["target"]["met"]
    only = fill([row(minutes=10.0, peer=20.0), row(minutes=30.0, peer=None)])[-1]
    assert only["peer"]["wall_s"] == pytest.approx(60.0)


def test_channels_go_on_by_a_power():
    rows = [row(n_channels=n, peer=1e-4 * n**2) for n in (64, 128, 306)]
    found = fill([*rows, row(n_channels=1000, peer=None)])[-1]
    assert found["peer"]["wall_s"] == pytest.approx(100.0)
    assert "exponent 2.00" in found["peer"]["law"]


def test_without_a_peer_anywhere_nothing_is_claimed():
    found = fill([row(n_channels=1000, peer=None), row("hfc")])[0]
    assert found["peer"]["wall_s"] is None
    assert found["ratio"] == {}
    assert found["target"]["met"] is None
    assert target(found) == "35×: no peer"


def test_targets_judge_ratio_seconds_and_rate():
    assert row("psd", ours=0.2)["target"]["met"]
    assert not row("psd", ours=0.5)["target"]["met"]
    assert not row("report", peer=100.0, ours=0.6)["target"]["met"]
    assert row("report", peer=100.0, ours=0.4)["target"]["met"]
    assert not row("read_fif_int", ours=0.5, logical_bytes=10**9)["target"]["met"]
    assert row("read_fif_int", ours=0.2, logical_bytes=10**9)["target"]["met"]
    assert row("muscle")["target"] is None


def test_sizes():
    assert [s.n_channels for s in grid() if s.minutes == 5.0] == [64, 128, 306, 1000]
    assert [s.minutes for s in grid() if s.n_channels == 306] == [2.5, 5.0, 10.0, 30.0]
    assert all(headline(name) in grid() for name in ("read_zarr", "psd"))
    assert [s for s in grid() if not s.with_peer] == [s for s in grid() if 1000 in vars(s).values()
                                                      or s.minutes == 30]  # fmt: skip


def test_the_chain_goes_on_along_a_line_but_for_the_report():
    found = {label: (ours, theirs) for label, ours, theirs in job.stages(JOBS[0], JOBS)}
    assert found["report"] == (1.0, 3.0)
    assert found["connectivity, AEC, graph"] == (2.0, pytest.approx(60.0))
    assert found["total"] == (10.0, pytest.approx(601.0 + 3.0 + 60.0))
    assert found["imports and outputs"] == (3.0, None)
    without = dict((label, t) for label, _, t in job.stages(job_row(job.WITHOUT), JOBS))
    assert without["total"] == pytest.approx(601.0 + 3.0)
    verdict = {text: met for text, _, met in job.verdicts(JOBS[0], JOBS)}
    assert list(verdict.values()) == [False, False, True]


START = {
    **account(), "load_average": [0.1, 0.2], "median_wall_s": {
        "cold": 9.0, "warm": 3.5, "neither": 12.0}, "compiled": {"brainforge.kernels.psd.f": 0.5},
}  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    rows = [row(name, minutes=m) for name in ("psd", "ica") for m in (2.5, 5.0)]
    save_rows(tmp_path / "peers.json", fill([*rows, row("ica", 30.0, peer=None)]))
    save_rows(tmp_path / "job.json", JOBS)
    (tmp_path / "start.json").write_text(json.dumps(START))
    waiting = {"title": "whole job", "target_s": 1.0, "wall_s": None,
               "status": "not run on hardware"}  # fmt: skip
    (tmp_path / "device.json").write_text(json.dumps({"rows": [waiting]}))
    return tmp_path


def test_page_holds_what_was_measured(folder, tmp_path_factory):
    text = page.page(folder)
    assert "| PSD, 5 min × 306 | 10 s | 0.5 s | 0.5 s | 20× / 20× | 35×: NOT met |" in text
    assert "| ICA | 0.5 s, 20× | 0.5 s, 20× | 0.5 s, 20× X |" in text
    assert "| total | 10 s | 664 s X | 66.4× |" in text
    assert "| warm | 3.5 s | 3 s | NOT met |" in text
    assert "| whole job | 1000 ms | not run on hardware | – | – |" in text
    assert text == page.page(folder)
    assert "##" not in page.page(tmp_path_factory.mktemp("nothing"))


def test_interactive_page_is_one_file(folder):
    text = write_html(folder / "deep" / "page.html", folder).read_text()
    assert 'src="http' not in text
    assert text.count("Plotly.newPlot(") == 4
    assert "not run on hardware: whole job" in text


def test_pictures_are_the_same_every_time(folder):
    rows = load_rows(folder / "peers.json")
    for draw in (pictures.bars, pictures.curves):
        assert draw(rows).startswith("<?xml")
        assert draw(rows) == draw(rows)


def test_readme_quotes_the_results(folder):
    block = readme.block(folder)
    assert "| ICA of 40 components, 5 minutes | 0.5 s | 20× |" in block
    assert "with AEC | 12 s | 55× X |" in block
    assert "cold | 9 s | |" in block
    text = readme.with_block(f"a\n{readme.BEGIN}\nold\n{readme.END}\nz", folder)
    assert text == f"a\n{readme.BEGIN}\n\n{block}\n\n{readme.END}\nz"
    with pytest.raises(ValueError, match="no place"):
        readme.with_block("nothing", folder)


def test_the_committed_readme_and_page_are_what_the_results_give(capsys):
    """Figures that were typed by hand, or left behind by a new measurement, show here."""
    for path, text in page.written().items():
        if path.suffix == ".md":
            assert path.read_text(encoding="utf-8") == text, f"{path.name}: run benchmarks.page"


def test_a_start_has_caches_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    found = start.environment(tmp_path, "cold-1")
    assert found["NUMBA_CACHE_DIR"] == str(tmp_path / "cold-1")
    assert "PYTHONDONTWRITEBYTECODE" not in found
    assert [v[0] for v in start.verdicts(START)] == ["cold", "warm"]
