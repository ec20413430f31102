"""How the real process ends when the world around it fails: full disk, signals, closed pipes."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-P", "-m", "brainforge"]


@pytest.fixture
def plain() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if not k.startswith("BRAINFORGE_")}


def _phantom(out: Path, seconds: int) -> list[str]:
    return [*COMMAND, "phantom", "--out", str(out), "--duration", str(seconds), "--seed", "1"]


def test_a_full_disk_leaves_nothing(tmp_path: Path, plain: dict[str, str]) -> None:
    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    out = tmp_path / "a" / "big.zarr"
    done = subprocess.run(
        [*_phantom(out, 20), "--quiet"],
        capture_output=True, text=True, env=plain, preexec_fn=small_files, check=False,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith(f"error: {out}")
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def _heed_signals() -> None:
    """Undo what a shell does to jobs in the background: they ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 128 + signal.SIGTERM)]
)
def test_a_signal_leaves_nothing(
    number: int, code: int, tmp_path: Path, plain: dict[str, str]
) -> None:
    out = tmp_path / "long.zarr"
    with subprocess.Popen(
        _phantom(out, 3600), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=plain,
        preexec_fn=_heed_signals,
    ) as running:  # fmt: skip
        assert running.stderr is not None
        # its first line of progress says that the work has begun
        assert running.stderr.readline().startswith("simulating")
        assert list(tmp_path.iterdir()) != []
        running.send_signal(number)
        out_text, err_text = running.communicate(timeout=60)
    assert running.returncode == code
    assert out_text == ""
    assert err_text.startswith("error: ")
    assert err_text.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_closed_pipe_is_no_crash(plain: dict[str, str]) -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [*COMMAND, "recipes"], stdout=write, stderr=subprocess.PIPE, text=True, env=plain,
        check=False,
    )  # fmt: skip
    os.close(write)
    assert done.returncode == 3
    assert done.stderr == "error: standard output was closed before all of the result was printed\n"


def test_the_module_is_the_command(plain: dict[str, str]) -> None:
    done = subprocess.run(
        [*COMMAND, "no-such"], capture_output=True, text=True, env=plain, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: No such command 'no-such'")
