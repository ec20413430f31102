"""What a session gives back to the lab, read by pylsl while it runs."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from brainforge.archive import import_recording
from brainforge.datasets import Phantom
from brainforge.info import Channel
from brainforge.recording import ArrayReader, Recording
from brainforge.session.session import Session
from brainforge.session.spec import SessionSpec
from tests.lsl_lab import unique

pylsl = pytest.importorskip("pylsl", reason="needs the extra lsl")

RECIPE = """
name = "feedback"
[live]
calibration_s = 15.0
feedback = "power"
feedback_band = "alpha"
feedback_picks = ["OPM003", "OPM004"]
"""
SECONDS, RATE, SEED = 25.0, 250.0, 5
#: samples at which the trigger line rises
TRIGGERS = (9_000, 14_000, 18_000)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory) -> Path:
    """A phantom with a trigger line beside its sensors."""
    print(f"seed {SEED}")
    phantom = Phantom(n_channels=32, duration=SECONDS, seed=SEED, bad_channels=(), gaps=())
    whole = phantom.recording()
    counts = whole.read(whole.start, whole.stop).data
    line = np.zeros((1, counts.shape[1]), counts.dtype)
    for at in TRIGGERS:
        line[0, at : at + 20] = 4
    info = phantom.info
    info = type(info)(
        info.sfreq, (*info.channels, Channel("STI 014", "stim", cal=1.0)), line_freq=50.0
    )
    reader = ArrayReader(np.concatenate([counts, line]))
    path = tmp_path_factory.mktemp("source") / "phantom.zarr"
    return import_recording(Recording(info, reader, 0, counts.shape[1]), path)


class Client:
    """An inlet and what has come through it."""

    def __init__(self, name: str) -> None:
        (found,) = pylsl.resolve_byprop("name", name, timeout=30)
        self.inlet = pylsl.StreamInlet(found, recover=False)
        self.info = self.inlet.info(5)
        self.inlet.open_stream(5)
        self.rows: list[Any] = []
        self.stamps: list[float] = []

    def pull(self) -> None:
        rows, stamps = self.inlet.pull_chunk(timeout=0.0)
        self.rows += rows
        self.stamps += stamps

    def labels(self) -> list[str]:
        node, out = self.info.desc().child("channels").child("channel"), []
        while not node.empty():
            out.append(node.child_value("label"))
            node = node.next_sibling("channel")
        return out


def test_signals_features_feedback_and_markers(recorded: Path, tmp_path: Path) -> None:
    (tmp_path / "feedback.toml").write_text(RECIPE, encoding="utf-8")
    prefix = unique("bf")
    spec = SessionSpec(
        source=f"replay:{recorded}", archive=str(tmp_path / "s.zarr"), threads=1,
        recipe=str(tmp_path / "feedback.toml"), outlets=prefix,
    )  # fmt: skip
    with Session(spec) as session:
        clients = {"signals": Client(prefix)}
        for name in ("features", "markers"):
            clients[name] = Client(f"{prefix}-{name}")
        deadline = time.monotonic() + 90
        view = session.poll()
        while view.phase == "live" or view.phase == "starting":
            assert time.monotonic() < deadline
            if "feedback" not in clients and pylsl.resolve_byprop(
                "name", f"{prefix}-feedback", timeout=0.01
            ):
                clients["feedback"] = Client(f"{prefix}-feedback")
            for client in clients.values():
                client.pull()
            time.sleep(0.02)
            view = session.poll()
    _signals(clients["signals"])
    _features(clients["features"])
    _feedback(clients["feedback"])
    markers = [row[0] for row in clients["markers"].rows]
    assert markers.count("STI 014 4") == len(TRIGGERS), markers
    told = [json.loads(text) for text in markers if text.startswith("{")]
    assert all("what" in notice for notice in told)
    at = [s for s, t in zip(clients["markers"].stamps, markers, strict=True) if t == "STI 014 4"]
    assert np.allclose(np.diff(at), np.diff(TRIGGERS) / 1000, atol=0.06)


def _signals(client: Client) -> None:
    data = np.array(client.rows)
    assert client.info.nominal_srate() == RATE
    assert data.shape[1] == 32
    assert client.labels()[0] == "OPM001"
    # nothing is missing from the first sample that was received to the last
    steps = np.diff(client.stamps)
    assert abs(np.median(steps) - 1 / RATE) < 1e-4
    assert len(data) > 10 * RATE
    assert np.isfinite(data[-500:]).all()
    assert 10 < np.median(data[-500:].std(axis=0)) < 5e3, "fT"


def _features(client: Client) -> None:
    names = client.labels()
    assert names[:2] == ["mag delta power", "mag theta power"]
    assert names[-1] == "age"
    late = np.array(client.rows)[-8:]
    assert np.isfinite(late).all()
    assert (late[:, :-1] > 0).all()
    assert (late[:, -1] < 1.0).all()


def _feedback(client: Client) -> None:
    assert client.labels() == ["value", "age"]
    values = np.array(client.rows)
    assert len(values) > 40
    assert np.isfinite(values[-20:]).all()
    assert (values[-20:, 0] > 0).all()
    assert np.median(values[-20:, 1]) < 0.25


def test_streams_are_listed() -> None:
    from typer.testing import CliRunner

    from brainforge.cli.app import app
    from brainforge.cli.state import State

    name = unique("listed")
    info = pylsl.StreamInfo(name, "MEG", 3, 500.0, "float32", name)
    outlet = pylsl.StreamOutlet(info)
    try:
        text = CliRunner().invoke(app, ["live", "--list"], obj=State()).stdout
        document = CliRunner().invoke(app, ["live", "--list", "--json"], obj=State()).stdout
    finally:
        del outlet
    (row,) = [line for line in text.splitlines() if name in line]
    assert row.split()[1:5] == ["MEG", "3", "500", "Hz"]
    (found,) = [s for s in json.loads(document)["streams"] if s.get("source") == f"lsl:{name}"]
    assert (found["channels"], found["rate_hz"]) == (3, 500.0)
