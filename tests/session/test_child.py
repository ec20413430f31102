"""Children of a session: what dies or hangs is started again, what was refused is not."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from brainforge.errors import BrainForgeError
from brainforge.session.child import MOST_DEATHS, Child, Death

#: takes its time until it hears signals, as a process that imports does
SLOW = """
import os, signal, sys, time
time.sleep(0.3)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
time.sleep(60)
"""
WAITS = "import time; print('here', flush=True); time.sleep(60)"


def until(condition, seconds: float = 20.0):
    """Return what ``condition`` gives as soon as it is true."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.01)
    raise AssertionError("it did not come true")


def child(tmp_path: Path, *programs: str, beat=lambda: None, patience: float = 60.0) -> Child:
    def command(start: int) -> list[str]:
        return ["-c", programs[min(start, len(programs) - 1)]]

    return Child("tester", command, tmp_path / "log", beat, patience)


def test_one_that_is_killed_is_started_again(tmp_path: Path) -> None:
    made = child(tmp_path, WAITS)
    made.start()
    first = made.pid
    assert first is not None
    assert made.poll() is None
    os.kill(first, signal.SIGKILL)
    death = until(made.poll)
    assert (death.name, death.code, death.why) == ("tester", -9, "was ended by SIGKILL")
    assert made.running
    assert made.pid not in (None, first)
    assert made.starts == 2
    made.kill()
    assert not made.running
    assert made.pid is None


@pytest.mark.parametrize("code", [0, 2, 3])
def test_one_that_has_ended_is_left_alone(tmp_path: Path, code: int) -> None:
    made = child(tmp_path, f"print('one\\nlast words'); raise SystemExit({code})")
    made.start()
    until(lambda: made.poll() is None and not made.running)
    assert (made.code, made.starts) == (code, 1)
    assert made.last_words() == "last words"


def test_one_that_hangs_is_killed_and_started_again(tmp_path: Path) -> None:
    beats: list[float] = []
    made = child(tmp_path, WAITS, beat=lambda: beats[-1] if beats else None, patience=0.2)
    made.start()
    first = made.pid
    assert first is not None
    time.sleep(0.3)
    assert made.poll() is None, "before its first sign of life it may take its time"
    beats.append(time.monotonic())
    os.kill(first, signal.SIGSTOP)
    death = until(made.poll)
    assert death.why.startswith("gave no sign of life for 0.")
    assert made.pid != first
    assert made.poll() is None, "the old one's last sign says nothing of the new one"
    made.kill()


def test_one_that_dies_again_and_again_is_given_up(tmp_path: Path) -> None:
    made = child(tmp_path, "import sys; sys.exit('no such thing')")
    made.start()
    deaths: list[Death] = []

    def until_given_up() -> None:
        while True:
            death = made.poll()
            if death is not None:
                deaths.append(death)

    with pytest.raises(BrainForgeError, match="6 times within 60 s; it last said: no such thing"):
        until_given_up()
    assert len(deaths) == MOST_DEATHS
    assert not made.running


def test_one_that_is_asked_to_end_before_it_can_hear_it(tmp_path: Path) -> None:
    made = child(tmp_path, SLOW)
    made.start()
    made.terminate()
    until(lambda: made.poll() is None and not made.running)
    assert (made.code, made.starts) == (0, 1)
    here = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    assert signal.SIGTERM not in here, "the signal is held back from the child alone"


def test_who_takes_over_is_asked_to_end_as_well(tmp_path: Path) -> None:
    made = child(tmp_path, SLOW)
    made.start()
    made.terminate()
    assert made.pid is not None
    os.kill(made.pid, signal.SIGKILL)
    assert until(made.poll).why == "was ended by SIGKILL"
    until(lambda: made.poll() is None and not made.running)
    assert (made.code, made.starts) == (0, 2)
