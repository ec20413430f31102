"""A source that dies: told within a second, its values stale, and the session goes on after it."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from brainforge.archive import verify_archive
from brainforge.session.session import Session, View
from brainforge.session.spec import SessionSpec
from tests.faults.device import running

#: seconds within which a dead source has to be told, and one that looks ten times a second sees it
TOLD_S, LOOK_S = 1.0, 0.1


def looked(session: Session, wanted, limit: float = 40.0) -> tuple[View, float]:
    """Poll until ``wanted`` holds; return the view and when it was."""
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        view = session.poll()
        if wanted(view):
            return view, time.monotonic()
        time.sleep(0.02)
    raise AssertionError(f"it did not come true in {limit} s: {view.phase}, {view.recorder}")


@pytest.mark.parametrize("how", [signal.SIGSTOP, signal.SIGKILL])
def test_a_dead_source_is_told_within_a_second(tmp_path: Path, how: signal.Signals) -> None:
    with running("--channels", "32", "--seconds", "600") as (address, device):
        spec = SessionSpec(source=address, archive=str(tmp_path / "s.zarr"), analyse=False)
        with Session(spec) as session:
            looked(session, lambda v: v.phase == "live" and v.recorder.get("received", 0) > 1000)
            struck = time.monotonic()
            os.kill(device.pid, how)
            view, seen = looked(session, lambda v: v.stale)
            print(f"stale after {seen - struck:.2f} s")
            # the last packet may be up to 50 ms old when the device dies
            assert seen - struck <= TOLD_S + LOOK_S
            assert view.silent_s is not None
            assert view.silent_s > TOLD_S
            expected = "silent" if how == signal.SIGSTOP else "lost"
            view, seen = looked(session, lambda v: expected in _told(v), limit=5.0)
            print(f"{expected} in the ledger after {seen - struck:.2f} s")
            assert seen - struck <= 1.0 + TOLD_S
            if how == signal.SIGSTOP:
                os.kill(device.pid, signal.SIGCONT)
                looked(session, lambda v: not v.stale, limit=10.0)
            session.stop()
            looked(session, lambda v: v.phase == "done")
    ledger = verify_archive(tmp_path / "s.zarr")
    assert ledger["ok"]
    assert ledger["received"] == ledger["stored"] + sum(
        g["stop"] - g["start"] for g in ledger["gaps"]
    )


def _told(view: View) -> list[str]:
    return [notice["what"] for notice in view.recorder.get("last_notices") or []]
