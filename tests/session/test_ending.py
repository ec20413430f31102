"""Being asked to end at any moment, from the command line: at once, in order, with one line."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from brainforge.session.spec import Paths


def asked(
    paths: Paths, moment: Path, after: float, number: signal.Signals, times: int = 1
) -> tuple[int, str, str]:
    """Send a signal so long after a file is there; return the exit code and what was said."""
    command = [sys.executable, "-m", "brainforge", "live", "--source", "phantom:n_channels=16",
               "--threads", "1", "--json", "--out", str(paths.archive)]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True) as process:  # fmt: skip
        deadline = time.monotonic() + 60
        while not moment.exists() and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(after)
        for _ in range(times):
            process.send_signal(number)
            time.sleep(0.15)
        told, said = process.communicate(timeout=60)
        return process.returncode, told, said


@pytest.mark.parametrize("after", [0.0, 0.1])
def test_while_it_starts(tmp_path: Path, after: float) -> None:
    """The recorder is not even able to hear it yet."""
    paths = Paths(tmp_path / "s.zarr")
    code, told, said = asked(paths, paths.recorder_spec, after, signal.SIGINT)
    assert (code, told) == (2, "")
    assert said.splitlines() == [
        "error: phantom:n_channels=16: expected samples, got none before it was stopped; "
        "nothing was recorded"
    ]
    assert list(tmp_path.iterdir()) == []


def test_when_the_first_samples_have_come(tmp_path: Path) -> None:
    """The pipeline has not even begun: what there is is recorded, and too little to analyse."""
    paths = Paths(tmp_path / "s.zarr")
    code, told, said = asked(paths, paths.archive / "live" / "header.json", 0.0, signal.SIGTERM)
    assert (code, said) == (3, "")
    assert "at least 1 s" in json.loads(told)["trouble"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["s.zarr"]
    assert (paths.archive / "manifest.json").is_file()


def test_twice_gives_up_the_analysis_alone(tmp_path: Path) -> None:
    paths = Paths(tmp_path / "s.zarr")
    code, told, said = asked(paths, paths.pipeline_feed, 2.0, signal.SIGINT, times=2)
    payload = json.loads(told)
    print(payload["trouble"], payload["timings"])
    assert (code, said) == (3, "")
    assert payload["recording"]["ok"]
    assert payload["trouble"].startswith("the analysis was given up: brainforge process ")
    assert not paths.scratch.exists(), "nobody goes on with it"
