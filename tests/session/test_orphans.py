"""A session whose supervisor is gone: its processes go on, and one that is told how ends them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from brainforge.session.spec import Paths

PROGRAM = [sys.executable, "-m", "brainforge"]


def until(condition: Callable[[], Any], seconds: float = 60.0) -> Any:
    """Return what ``condition`` gives as soon as it is true."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"it did not come true in {seconds} s")


def alive(scratch: Path) -> list[int]:
    """Return the processes of the session whose scratch folder it is."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if any(word.startswith(os.fsencode(scratch)) for word in words):
                found.append(int(entry.name))
    return found


@pytest.fixture
def session(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], Paths]]:
    """Start a session of a phantom from the command line and wait until samples are shown."""
    paths = Paths(tmp_path / "s.zarr")
    command = [*PROGRAM, "live", "--source", "phantom:n_channels=32", "--threads", "1",
               "--out", str(paths.archive)]  # fmt: skip
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            until(paths.pipeline_feed.exists)
            time.sleep(1.0)
            yield process, paths
        finally:
            process.kill()
            for pid in alive(paths.scratch):
                os.kill(pid, signal.SIGKILL)


def told(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, *arguments], capture_output=True, text=True, timeout=60, check=False
    )


def test_orphans_go_on_and_can_be_ended(session: tuple[subprocess.Popen[str], Paths]) -> None:
    supervisor, paths = session
    supervisor.kill()
    supervisor.wait()
    before = json.loads(told("verify", str(paths.archive), "--json").stdout)
    assert before["state"] == "recording"
    seen = told("verify", str(paths.archive))
    assert seen.returncode == 3
    refused = told("repair", str(paths.archive))
    assert refused.returncode == 2
    words = re.search(r"kill -TERM (\d+)", refused.stderr)
    assert words, refused.stderr
    assert words.group() in seen.stdout, "whoever looks is told how it is ended as well"
    assert len(alive(paths.scratch)) == 2
    os.kill(int(words[1]), signal.SIGTERM)
    until(lambda: not alive(paths.scratch))
    after = told("verify", str(paths.archive), "--json")
    assert after.returncode == 0
    ledger = json.loads(after.stdout)
    assert ledger["received"] == ledger["stored"] > before["stored"]
    assert (paths.results / "report.html").is_file()


def test_a_terminal_that_is_closed_ends_nothing(
    session: tuple[subprocess.Popen[str], Paths],
) -> None:
    """Neither the hang-up nor that nobody takes what is said costs a sample."""
    supervisor, paths = session
    assert supervisor.stderr is not None
    supervisor.stderr.close()
    os.kill(supervisor.pid, signal.SIGHUP)
    time.sleep(6.0)  # a line is said every five seconds
    assert supervisor.poll() is None
    os.kill(supervisor.pid, signal.SIGTERM)
    assert supervisor.wait(60) == 0
    assert told("verify", str(paths.archive)).returncode == 0
    assert (paths.results / "report.html").is_file()
    assert not paths.scratch.exists()
