"""The recorder dies and its ring is gone too: supervisor and pipeline go on in the new one."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from brainforge.archive import verify_archive
from brainforge.session.header import read_header
from brainforge.session.session import Session, View
from brainforge.session.spec import SessionSpec


def looked(session: Session, wanted: Callable[[View], bool], limit: float = 60.0) -> View:
    """Poll until ``wanted`` holds; return the view."""
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        view = session.poll()
        if wanted(view):
            return view
        time.sleep(0.02)
    raise AssertionError(f"it did not come true in {limit} s: {view.phase}, {view.recorder}")


def test_a_ring_that_is_lost_with_its_recorder(tmp_path: Path) -> None:
    spec = SessionSpec(source="phantom:n_channels=32", archive=str(tmp_path / "s.zarr"), threads=1)
    with Session(spec) as session:
        shown = looked(session, lambda v: "traces" in v.topics and v.recorder["stored"] > 3000)
        header = read_header(spec.paths.archive)
        assert header is not None
        assert header.ring is not None
        header.ring.unlink()
        os.kill(session.pids["recorder"] or 0, signal.SIGKILL)
        newest = shown.topics["traces"].meta["sample"]

        def shows_more(view: View) -> bool:
            # a pipeline that starts over has shown nothing yet
            traces = view.topics.get("traces")
            return traces is not None and traces.meta["sample"] > newest + 3000

        looked(session, shows_more)
        view = looked(session, lambda v: not v.stale and v.old_s is None)
        assert view.phase == "live"
        assert "recorder" in {death.name for death in view.restarts}
        session.stop()
        looked(session, lambda v: v.phase == "done")
    ledger = verify_archive(spec.paths.archive)
    assert ledger["ok"]
    lost = sum(gap["stop"] - gap["start"] for gap in ledger["gaps"])
    assert ledger["received"] == ledger["stored"] + lost
    found = json.loads((spec.paths.results / "result.json").read_text(encoding="utf-8"))
    assert found["recording"]["n_samples"] == ledger["stored"]
    print([(d.name, d.why) for d in view.restarts], ledger["gaps"])
