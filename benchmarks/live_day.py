"""A day in minutes: does anything grow with the length of a live session?

``python -m benchmarks.live_day [--hours 24] [--channels 32]``. A phantom is sent as fast as the
recorder takes it; recorder and pipeline work as they always do. Their own memory is noted along
the way: it has to stay flat.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import account
from benchmarks.processes import own_bytes
from brainforge.archive import verify_archive
from brainforge.session.session import Session
from brainforge.session.spec import SessionSpec

RESULTS = Path(__file__).parent / "results" / "live_day.json"
#: share of the session until caches are full and the operator is learned
WARM = 0.05
#: growth over the rest of the day that counts as flat, in bytes
FLAT = 64 * 2**20
EVERY_S = 2.0
SFREQ = 1000.0

Note = tuple[float, int]


def watched(session: Session) -> tuple[dict[str, list[Note]], float]:
    """Look after a session; return (share done, bytes) by process, and when all was taken.

    The pipeline may be behind the recorder, so each process's share is its own.
    """
    notes: dict[str, list[Note]] = {"recorder": [], "pipeline": []}
    noted, taken = 0.0, 0.0
    total = (session.spec.duration or 1.0) * SFREQ
    while True:
        view = session.poll()
        now = time.monotonic()
        if view.phase in ("done", "failed"):
            return notes, taken or now
        # the first word of the end is said when the pipeline has taken every sample
        if "progress" in view.topics and not taken:
            taken = now
        if now - noted > EVERY_S and not taken:
            noted = now
            beat = view.topics.get("beat")
            done = {
                "recorder": view.recorder.get("sample", 0) / total,
                "pipeline": beat.meta["stored"] / total if beat is not None else 0.0,
            }
            for name, pid in session.pids.items():
                if pid is not None:
                    notes[name].append((done[name], own_bytes(pid)))
        time.sleep(0.05)


def growth(notes: list[Note]) -> dict[str, float]:
    """Return memory along the day, in bytes, and its growth from a straight line."""
    late = np.array([n for n in notes if n[0] > WARM])
    slope = np.polyfit(late[:, 0], late[:, 1], 1)[0]
    return {
        "first": float(late[: len(late) // 10 + 1, 1].mean()),
        "last": float(late[-(len(late) // 10 + 1) :, 1].mean()),
        "most": float(late[:, 1].max()),
        "growth": float(slope * (1 - WARM)),
        "n": len(late),
    }


def measure(hours: float, channels: int) -> dict[str, Any]:
    """Run the day and return its figures, JSON-ready."""
    machine = account()
    with tempfile.TemporaryDirectory(prefix="brainforge-day-") as folder:
        seconds = 3600 * hours
        spec = SessionSpec(
            source=f"phantom:n_channels={channels},duration={seconds:.0f}",
            archive=f"{folder}/day.zarr", options={"speed": "max"}, duration=seconds, threads=1,
        )  # fmt: skip
        begun = time.monotonic()
        with Session(spec) as session:
            notes, taken = watched(session)
            done = time.monotonic()
            outcome = session.outcome()
        ledger = verify_archive(spec.archive)
    memory = {name: growth(found) for name, found in notes.items()}
    gaps = sum(g["stop"] - g["start"] for g in ledger["gaps"])
    return {
        **machine,
        "parameters": {"hours": hours, "channels": channels, "sfreq": SFREQ},
        "acceleration": seconds / (taken - begun),
        "wall_s": done - begun,
        "end_s": done - taken,
        "own_bytes": memory,
        "samples": {"received": ledger["received"], "stored": ledger["stored"], "gaps": gaps},
        "restarts": len(outcome["restarts"]),
        "ok": ledger["ok"] and ledger["received"] == ledger["stored"] + gaps,
        "flat_bytes": FLAT,
        "met": all(m["growth"] <= FLAT for m in memory.values()) and ledger["ok"],
    }


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.live_day", description=__doc__)
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--channels", type=int, default=32)
    parser.add_argument("--json", type=Path, default=RESULTS)
    options = parser.parse_args(argv)
    found = measure(options.hours, options.channels)
    text = json.dumps(found, indent=1)
    print(text)
    options.json.write_text(text + "\n", encoding="utf-8")
    return 0 if found["met"] else 1


if __name__ == "__main__":
    raise SystemExit(main())
