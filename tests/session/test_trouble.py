"""A part of a session that has to be given up does not take the recording with it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from brainforge.archive import import_recording, verify_archive
from brainforge.cli.live_run import payload_of
from brainforge.info import Channel, Info
from brainforge.recording import recording_from_array
from brainforge.session.session import Session
from brainforge.session.spec import SessionSpec
from tests.faults.device import running


def test_no_meg_is_recorded_and_not_analysed(tmp_path: Path) -> None:
    info = Info(500.0, tuple(Channel(f"EEG{i}", "eeg", cal=1e-7) for i in range(4)))
    data = np.random.default_rng(3).integers(-999, 999, (4, 2500), dtype=np.int16)
    import_recording(recording_from_array(data, info), tmp_path / "eeg.zarr")
    done = subprocess.run(
        [sys.executable, "-m", "brainforge", "live", "--source", f"replay:{tmp_path}/eeg.zarr",
         "--out", str(tmp_path / "s.zarr"), "--json"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 3, done.stderr
    payload = json.loads(done.stdout)
    assert "the recording is not affected" in payload["trouble"]
    assert "MEG channel" in payload["trouble"]
    assert payload["recording"]["stored"] == 2500
    assert payload["outputs"] is None


def test_a_recorder_that_dies_again_and_again(tmp_path: Path) -> None:
    """What it had acknowledged is finished by whoever looks after it, and analysed."""
    with running("--channels", "32", "--seconds", "600", "--speed", "8") as (address, device):
        spec = SessionSpec(source=address, archive=str(tmp_path / "s.zarr"), threads=1)
        with Session(spec) as session:
            deadline = time.monotonic() + 90
            received, begun = 0, time.monotonic()
            view = session.poll()
            while view.phase not in ("done", "failed") and time.monotonic() < deadline:
                enough = view.recorder.get("committed", 0) > 15_000
                if enough and not session.trouble and (pid := session.pids["recorder"]):
                    received = max(received, view.recorder["committed"])
                    os.kill(pid, signal.SIGKILL)
                time.sleep(0.02)
                view = session.poll()
            assert view.phase == "done", view.recorder
            outcome = session.outcome()
            assert view.trouble.startswith("the recording has ended early: the recorder's process")
        device.terminate()
    ledger = verify_archive(tmp_path / "s.zarr")
    assert ledger["ok"]
    assert ledger["stored"] >= received > 15_000
    payload, code = payload_of(spec, view, outcome, begun, None)
    assert code == 3
    assert Path(payload["outputs"]["report"]).is_file()
