"""Being asked to end at any moment, from the command line: at once, in order, with one line."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from brainforge.session.spec import Paths


def asked(paths: Paths, moment: Path, after: float, number: signal.Signals) -> tuple[int, str]:
    """Send a signal so long after a file is there; return the exit code and what was said."""
    command = [sys.executable, "-m", "brainforge", "live", "--source", "phantom:n_channels=16",
               "--threads", "1", "--json", "--out", str(paths.archive)]  # fmt: skip
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 60
        while not moment.exists() and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(after)
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
        return process.returncode, said


@pytest.mark.parametrize("after", [0.0, 0.1])
def test_while_it_starts(tmp_path: Path, after: float) -> None:
    """The recorder is not even able to hear it yet."""
    paths = Paths(tmp_path / "s.zarr")
    code, said = asked(paths, paths.recorder_spec, after, signal.SIGINT)
    assert code == 2
    assert said.splitlines() == [
        "error: phantom:n_channels=16: expected samples, got none before it was stopped; "
        "nothing was recorded"
    ]
    assert list(tmp_path.iterdir()) == []


def test_when_the_first_samples_have_come(tmp_path: Path) -> None:
    """The pipeline has not even begun: what there is is recorded, and too little to analyse."""
    paths = Paths(tmp_path / "s.zarr")
    code, said = asked(paths, paths.archive / "live" / "header.json", 0.0, signal.SIGTERM)
    assert (code, said) == (3, "")
    assert [entry.name for entry in tmp_path.iterdir()] == ["s.zarr"]
    assert (paths.archive / "manifest.json").is_file()
