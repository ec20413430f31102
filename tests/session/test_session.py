"""A session from start to report, with real processes: what it leaves, and what survives a kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import brainforge as bf
from brainforge.archive import import_recording, open_archive, verify_archive
from brainforge.datasets import Phantom
from brainforge.session.session import Session, View
from brainforge.session.spec import SessionSpec

SECONDS, CHANNELS, SEED = 60.0, 64, 11
#: many times real time, so that a test of a minute of signal takes seconds
SPEED = "8"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory) -> Path:
    """Return an archive to replay, with gaps, as a source knows them."""
    print(f"seed {SEED}")
    phantom = Phantom(n_channels=CHANNELS, duration=SECONDS, seed=SEED, gaps=(12, 300))
    path = tmp_path_factory.mktemp("source") / "phantom.zarr"
    return import_recording(phantom.recording(), path)


def spec_of(recorded: Path, tmp_path: Path, **fields: object) -> SessionSpec:
    return SessionSpec(
        source=f"replay:{recorded}", archive=str(tmp_path / "s.zarr"),
        options={"speed": SPEED}, threads=1, **fields,
    )  # fmt: skip


def run(
    spec: SessionSpec, at: Callable[[Session, View], None] = lambda s, v: None, limit: float = 120
) -> tuple[View, dict[str, Any]]:
    """Run a session to its end, calling ``at`` at every look; return the last view and outcome."""
    with Session(spec) as session:
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline:
            view = session.poll()
            if view.phase in ("done", "failed"):
                assert view.phase == "done", session.paths.scratch
                return view, session.outcome()
            at(session, view)
            time.sleep(0.02)
    raise AssertionError(f"not done in {limit} s, {view.phase}: {view.recorder}")


def same_samples(archive: Path, recorded: Path) -> None:
    """Every sample of the source is in the archive, bit for bit, at its place, gaps included."""
    one, other = open_archive(archive), open_archive(recorded)
    shift = other.start - one.start
    assert [(g.start + shift, g.stop + shift) for g in one.gaps] == [
        (g.start, g.stop) for g in other.gaps
    ]
    assert [(a + shift, b + shift) for a, b in one.segments] == list(other.segments)
    for a, b in one.segments:
        mine = one.read(a, b).data
        assert np.array_equal(mine, other.read(a + shift, b + shift).data)


def same_findings(results: Path, archive: Path) -> None:
    """What the session found is what reprocessing its archive finds."""
    live = json.loads((results / "result.json").read_text(encoding="utf-8"))
    offline = bf.process(open_archive(archive))
    assert live["coverage"] == pytest.approx(offline.quality.coverage, abs=1e-9)
    assert [b["name"] for b in live["bad_channels"]] == [b.name for b in offline.quality.bads]
    assert len(live["findings"]) == len(offline.findings)
    for one, other in zip(live["findings"], offline.findings, strict=True):
        assert one["text"] == other.text
        if other.value is not None:
            assert one["value"] == pytest.approx(other.value, rel=1e-5)
    assert live["recording"]["gaps"] == offline.recording["gaps"]


def test_a_session_leaves_recording_and_findings(recorded: Path, tmp_path: Path) -> None:
    seen: dict[str, set[int]] = {}

    def look(session: Session, view: View) -> None:
        for topic, snapshot in view.topics.items():
            seen.setdefault(topic, set()).add(snapshot.sequence)

    spec = spec_of(recorded, tmp_path)
    view, outcome = run(spec, look)
    assert not spec.paths.scratch.exists()
    ledger = verify_archive(tmp_path / "s.zarr")
    assert ledger["ok"]
    assert ledger["received"] == ledger["stored"] + sum(
        g["stop"] - g["start"] for g in ledger["gaps"]
    )
    assert [g["stop"] - g["start"] for g in ledger["gaps"]] == [
        b - a for a, b in ((g.start, g.stop) for g in open_archive(recorded).gaps)
    ]
    same_samples(tmp_path / "s.zarr", recorded)
    same_findings(tmp_path / "s-results", tmp_path / "s.zarr")
    assert (tmp_path / "s-results" / "report.html").stat().st_size > 100_000
    assert not view.restarts
    for topic in ("layout", "traces", "spectra", "topographies", "connectivity", "status"):
        assert seen.get(topic), f"nothing was shown of {topic}: {seen.keys()}"
    sys.stdout.write(json.dumps(outcome["timings"], indent=1))


@pytest.mark.parametrize("victim", ["pipeline", "recorder"])
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_what_dies_is_replaced(
    recorded: Path, tmp_path: Path, victim: str, how: signal.Signals
) -> None:
    """Killed or hung in mid-stream: nothing that was received is missing from the measures."""
    struck: list[int] = []

    def strike(session: Session, view: View) -> None:
        enough = view.recorder.get("stored", 0) > 25_000 and "beat" in view.topics
        if enough and view.topics["beat"].meta["stored"] > 15_000 and not struck:
            pid = session.pids[victim]
            assert pid is not None
            struck.append(pid)
            os.kill(pid, how)

    view, _ = run(spec_of(recorded, tmp_path), strike)
    assert [d.name for d in view.restarts] == [victim]
    assert struck
    assert verify_archive(tmp_path / "s.zarr")["ok"]
    # a replay can be asked for what was missed, so not even the recorder's death costs samples
    same_samples(tmp_path / "s.zarr", recorded)
    same_findings(tmp_path / "s-results", tmp_path / "s.zarr")


def test_a_burst_costs_the_watchers_and_not_the_recording(recorded: Path, tmp_path: Path) -> None:
    """As fast as the source can send: nothing is lost, and what is not shown is counted.

    The ring is far too short for it: the pipeline reads most of it from the growing recording.
    """
    spec = replace(spec_of(recorded, tmp_path), options={"speed": "max"}, ring_s=3.0)
    _, outcome = run(spec)
    said = outcome["live"]
    print(said["held_back"], said["age"])
    assert said["held_back"] > 100
    assert said["age"]["n"] > 0, "a glimpse now and then"
    same_samples(tmp_path / "s.zarr", recorded)
    same_findings(tmp_path / "s-results", tmp_path / "s.zarr")


def test_stop_ends_in_order(recorded: Path, tmp_path: Path) -> None:
    def stop(session: Session, view: View) -> None:
        if view.recorder.get("stored", 0) > 20_000:
            session.stop()

    run(spec_of(recorded, tmp_path), stop)
    ledger = verify_archive(tmp_path / "s.zarr")
    assert ledger["ok"]
    assert 20_000 < ledger["stored"] < SECONDS * 1000 - 400
    same_findings(tmp_path / "s-results", tmp_path / "s.zarr")


def test_command_line(recorded: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "brainforge", "live", "--source", f"replay:{recorded}",
         "--option", "speed=max", "--duration", "12", "--out", str(tmp_path / "c.zarr"), "--json"],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    payload = json.loads(done.stdout)
    assert payload["ok"]
    assert payload["recording"]["received"] == 12_000
    assert payload["timings"]["stop_to_report_s"] < 30
    assert Path(payload["outputs"]["report"]).is_file()


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("nothing", "lsl:NAME"),
        ("replay:/no/such/file", "nothing there"),
        ("tcp:127.0.0.1:1", "127.0.0.1:1"),
    ],
)
def test_a_source_that_cannot_be(tmp_path: Path, source: str, words: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "brainforge", "live", "--source", source,
         "--out", str(tmp_path / "c.zarr"), "--duration", "5"],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("error: ")
    assert words in last
    assert [p.name for p in tmp_path.iterdir()] == []
