"""How long a live session takes to go on after one of its processes was killed.

``python -m benchmarks.live_recovery [--kills 5] [--json PATH]``. A phantom of 306 channels at
1 kHz in real time. *Pipeline*: from SIGKILL to the first snapshot of ``traces`` whose newest
sample is less than a second old. *Recorder*: from SIGKILL to the next sample that is acknowledged,
on the disk. At the end every sample has to be there.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import account
from brainforge.acquisition.ring import Ring
from brainforge.archive import verify_archive
from brainforge.feed import LastingReader
from brainforge.session.header import read_header
from brainforge.session.session import Session
from brainforge.session.spec import SessionSpec

#: seconds between two kills of a process, and the longest that is waited for
BETWEEN_S, LIMIT_S = 15.0, 60.0
#: what the live section promises
TARGET_S = 10.0


def looked_after(session: Session, wanted: Callable[[], bool], limit: float = LIMIT_S) -> float:
    """Poll a session until ``wanted`` holds; return when that was."""
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        session.poll()
        if wanted():
            return time.monotonic()
        time.sleep(0.01)
    raise RuntimeError(f"not so within {limit:.0f} s: {session.view().recorder}")


def kill(session: Session, name: str) -> float:
    """Kill one of the processes and return when."""
    pid = session.pids[name]
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    return time.monotonic()


def pipeline_s(session: Session, feed: LastingReader) -> float:
    """Return the seconds until fresh traces are shown again."""
    struck = kill(session, "pipeline")

    def fresh() -> bool:
        shown = feed.latest("traces")
        return shown is not None and shown.written > struck and shown.age() < 1.0

    return looked_after(session, fresh) - struck


def recorder_s(session: Session, ring: Ring) -> float:
    """Return the seconds until more is on the disk than the one that was killed had received."""
    struck = kill(session, "recorder")
    generation, before = ring.generation, ring.received
    return looked_after(
        session, lambda: ring.generation > generation and ring.committed > before
    ) - struck  # fmt: skip


def measure(folder: Path, kills: int) -> dict[str, Any]:
    """Run one session with so many kills of each process."""
    spec = SessionSpec(source="phantom:seed=5", archive=str(folder / "s.zarr"), threads=1)
    times: dict[str, list[float]] = {"pipeline": [], "recorder": []}
    feed = LastingReader(spec.paths.pipeline_feed)
    with Session(spec) as session:
        looked_after(session, lambda: feed.latest("traces") is not None)
        header = read_header(spec.paths.archive)
        assert header is not None
        assert header.ring is not None
        ring = Ring.attach(header.ring)
        for _ in range(kills):
            for name, seconds in times.items():
                ends = time.monotonic() + BETWEEN_S
                looked_after(session, lambda ends=ends: time.monotonic() > ends)  # type: ignore[misc]
                took = (
                    pipeline_s(session, feed) if name == "pipeline" else recorder_s(session, ring)
                )
                seconds.append(took)
                print(f"{name}: {took:.2f} s", flush=True)
        ring.close()
        session.stop()
        looked_after(session, lambda: session.phase in ("done", "failed"), 4 * LIMIT_S)
        phase = session.phase
        processed = json.loads((spec.paths.results / "result.json").read_text(encoding="utf-8"))
    feed.close()
    ledger = verify_archive(spec.paths.archive)
    figures = {
        name: {"n": len(s), "p50_s": float(np.median(s)), "max_s": max(s), "all_s": s}
        for name, s in times.items()
    }
    return {
        "machine": account(),
        "load": os.getloadavg(),
        "recovery": figures,
        "target_s": TARGET_S,
        "phase": phase,
        "ok": ledger["ok"],
        "stored": ledger["stored"],
        "lost": ledger["received"] - ledger["stored"],
        "analysed": processed["recording"]["n_samples"],
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder), options.kills)
    text = json.dumps(figures, indent=1)
    print(text)
    if options.json:
        options.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
