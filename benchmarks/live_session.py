"""A live session from a device in another process: every sample, what it costs, how old it gets.

``python -m benchmarks.live_session TRANSPORT [--minutes 10] [--json PATH]``. Recorder and
pipeline are measured by the kernel's account of their processes. Every sample that was stored is
compared with its number in the device's COUNTER channel.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.live_device import COUNTER, TRANSPORTS
from benchmarks.machine import account
from benchmarks.processes import cpu_s, own_bytes
from brainforge.archive import open_archive, verify_archive
from brainforge.session.session import Session, View
from brainforge.session.spec import SessionSpec

RESULTS = Path(__file__).parent / "results"
#: seconds until everything is compiled and calibrated, which the steady figures leave out
WARM_S = 45.0
TARGETS = {"recorder_core": 0.04, "age_p99_ms": 250.0, "connectivity_ms": 50.0}


class Meter:
    """Takes the steady state's figures of one session."""

    def __init__(self) -> None:
        self.cpu: dict[str, list[tuple[float, float]]] = {"recorder": [], "pipeline": []}
        self.memory: dict[str, list[int]] = {"recorder": [], "pipeline": []}
        self.ages: dict[str, list[float]] = {}
        self._sequences: dict[str, int] = {}
        self.shown: dict[str, list[tuple[float, int]]] = {}

    def take(self, session: Session, view: View) -> None:
        """Note what can be seen now."""
        for topic, snapshot in view.topics.items():
            if topic == "beat" or self._sequences.get(topic) == snapshot.sequence:
                continue
            self._sequences[topic] = snapshot.sequence
            self.ages.setdefault(topic, []).append(snapshot.written - snapshot.meta["arrival"])
            self.shown.setdefault(topic, []).append((snapshot.written, snapshot.sequence))

    def weigh(self, session: Session) -> None:
        """Note what the processes have used."""
        for name, pid in session.pids.items():
            if pid is not None:
                self.cpu[name].append((time.monotonic(), cpu_s(pid)))
                self.memory[name].append(own_bytes(pid))

    def cores(self, name: str) -> float:
        """Return the share of a core that a process used."""
        (t0, c0), (t1, c1) = self.cpu[name][0], self.cpu[name][-1]
        return (c1 - c0) / (t1 - t0)

    def rates(self) -> dict[str, float]:
        """Return snapshots a second by topic."""
        return {
            topic: (seen[-1][1] - seen[0][1]) / max(seen[-1][0] - seen[0][0], 1e-9)
            for topic, seen in self.shown.items()
        }

    def percentiles(self) -> dict[str, dict[str, float]]:
        """Return ages in milliseconds at publication by topic."""
        return {
            topic: {
                "p50_ms": float(1e3 * np.percentile(ages, 50)),
                "p99_ms": float(1e3 * np.percentile(ages, 99)),
                "n": len(ages),
            }
            for topic, ages in self.ages.items()
        }


def compared(path: Path) -> dict[str, Any]:
    """Return how the stored samples agree with their numbers from the device."""
    recording = open_archive(path)
    row = recording.info.index(COUNTER)
    wrong, n, first = 0, 0, None
    for block in recording.blocks(10_000):
        numbers = np.rint(block.data[row].astype(np.float64)).astype(np.int64)
        if first is None:
            first = int(numbers[0]) - block.start
        wrong += int((numbers - first != np.arange(block.start, block.stop)).sum())
        n += len(numbers)
    ledger = verify_archive(path)
    gaps = sum(g["stop"] - g["start"] for g in ledger["gaps"])
    return {
        "samples": n,
        "in_a_wrong_place": wrong,
        "in_gaps": gaps,
        "unexplained": ledger["received"] - ledger["stored"] - gaps,
        "exact": ledger["exact"],
        "ok": ledger["ok"],
    }


def measure(transport: str, minutes: float, channels: int, recipe: str) -> dict[str, Any]:
    """Run one session and return its figures, JSON-ready."""
    command = [sys.executable, "-m", "benchmarks.live_device", transport,
               "--channels", str(channels), "--seconds", str(60 * minutes + 60)]  # fmt: skip
    meter = Meter()
    with (
        tempfile.TemporaryDirectory(prefix="brainforge-live-") as folder,
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as device,
    ):
        assert device.stdout is not None
        (address,) = json.loads(device.stdout.readline())["addresses"]
        options = {"unit": "T"} if transport == "fieldtrip" else {}
        spec = SessionSpec(
            source=address, archive=f"{folder}/s.zarr", recipe=recipe, options=options,
            duration=60 * minutes, counter_channel=COUNTER if transport == "lsl" else None,
        )  # fmt: skip
        view, outcome = _run(spec, meter)
        device.terminate()
        checked = compared(Path(spec.archive))
    return _figures(transport, minutes, channels, meter, view, outcome, checked)


def _run(spec: SessionSpec, meter: Meter) -> tuple[View, dict[str, Any]]:
    begun, weighed = time.monotonic(), 0.0
    with Session(spec) as session:
        while True:
            view = session.poll()
            if view.phase in ("done", "failed"):
                return view, session.outcome()
            now = time.monotonic()
            if view.phase == "live" and now - begun > WARM_S:
                meter.take(session, view)
                if now - weighed > 10.0:
                    meter.weigh(session)
                    weighed = now
            time.sleep(0.01)


def _figures(
    transport: str,
    minutes: float,
    channels: int,
    meter: Meter,
    view: View,
    outcome: dict[str, Any],
    checked: dict[str, Any],
) -> dict[str, Any]:
    timings = outcome["timings"]
    ages = meter.percentiles()
    return {
        **account(),
        "parameters": {"transport": transport, "minutes": minutes, "channels": channels,
                       "block_ms": 50, "warm_s": WARM_S},
        "samples": checked,
        "recorder_core": meter.cores("recorder"),
        "pipeline_core": meter.cores("pipeline"),
        "own_bytes": {
            name: {"first": values[0], "last": values[-1]}
            for name, values in meter.memory.items()
        },
        "ages": ages,
        "all_ages": outcome["live"]["age"],
        "rates_hz": meter.rates(),
        "sync_ms": view.recorder.get("sync_ms"),
        "clock": view.recorder.get("clock"),
        "stop_to_report_s": timings["report_ready"] - timings["last_sample"],
        "targets": TARGETS,
        "met": {
            "every_sample": checked["ok"] and not checked["in_a_wrong_place"]
            and not checked["unexplained"],
            "recorder_core": meter.cores("recorder") <= TARGETS["recorder_core"],
            "age": ages["traces"]["p99_ms"] <= TARGETS["age_p99_ms"],
        },
    }  # fmt: skip


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.live_session", description=__doc__)
    parser.add_argument("transport", choices=TRANSPORTS)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--channels", type=int, default=306)
    parser.add_argument("--recipe", default="resting")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(argv)
    found = measure(options.transport, options.minutes, options.channels, options.recipe)
    text = json.dumps(found, indent=1)
    print(text)
    path = options.json or RESULTS / f"live_session_{options.transport}.json"
    path.write_text(text + "\n", encoding="utf-8")
    return 0 if all(found["met"].values()) else 1


if __name__ == "__main__":
    raise SystemExit(main())
