"""A live session from a device in another process: every sample, what it costs, how old it gets.

``python -m benchmarks.live_session TRANSPORT [--minutes 10] [--json PATH]``. Recorder and
pipeline are measured by the kernel's account of their processes. Every sample that was stored is
compared with its number in the device's COUNTER channel. Ages count from when the device took a
sample, on the clock that all processes of the machine share.
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

from benchmarks.live_ages import Sight
from benchmarks.live_device import COUNTER, SFREQ, TRANSPORTS
from benchmarks.machine import account
from benchmarks.processes import cpu_s, own_bytes
from brainforge.archive import open_archive, verify_archive
from brainforge.session.session import Session, View
from brainforge.session.spec import SessionSpec

RESULTS = Path(__file__).parent / "results"
#: seconds until everything is compiled and calibrated, which the steady figures leave out
WARM_S = 45.0
#: seconds between two looks at what the processes have used
WEIGH_S = 10.0
TARGETS = {"recorder_core": 0.04, "age_p99_ms": 250.0, "connectivity_age_ms": 1000.0}


class Meter:
    """Takes the steady state's figures of one session."""

    def __init__(self) -> None:
        self.cpu: dict[str, list[tuple[float, float]]] = {"recorder": [], "pipeline": []}
        self.memory: dict[str, list[int]] = {"recorder": [], "pipeline": []}
        self.sight = Sight()
        self.weighed = 0.0

    def take(self, session: Session, view: View) -> None:
        """Note what can be seen now, and now and then what the processes have used."""
        self.sight.look(view.topics)
        now = time.monotonic()
        if now - self.weighed > WEIGH_S:
            self.weighed = now
            for name, pid in session.pids.items():
                if pid is not None:
                    self.cpu[name].append((time.monotonic(), cpu_s(pid)))
                    self.memory[name].append(own_bytes(pid))

    def cores(self, name: str) -> dict[str, float]:
        """Return the share of a core that a process used, and in the first and the last third."""
        notes = self.cpu[name]
        third = max(len(notes) // 3, 1)
        parts = {"all": notes, "first_third": notes[: third + 1], "last_third": notes[-third - 1 :]}
        return {part: (n[-1][1] - n[0][1]) / (n[-1][0] - n[0][0]) for part, n in parts.items()}


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
        "first_number": first,
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
    machine = account()
    meter = Meter()
    with (
        tempfile.TemporaryDirectory(prefix="brainforge-live-") as folder,
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as device,
    ):
        assert device.stdout is not None
        said = json.loads(device.stdout.readline())
        options = {"unit": "T"} if transport == "fieldtrip" else {}
        spec = SessionSpec(
            source=said["addresses"][0], archive=f"{folder}/s.zarr", recipe=recipe,
            options=options, duration=60 * minutes,
            counter_channel=COUNTER if transport == "lsl" else None,
        )  # fmt: skip
        try:
            view, outcome = _run(spec, meter)
        finally:
            device.terminate()
        checked = compared(Path(spec.archive))
    checked["expected"] = round(60 * minutes * SFREQ)
    ages = meter.sight.figures(said["begun"] + checked["first_number"] / SFREQ)
    parameters = {"transport": transport, "minutes": minutes, "channels": channels,
                  "block_ms": 50, "warm_s": WARM_S}  # fmt: skip
    figures = _figures(meter, view, outcome)
    met = {
        "every_sample": every_sample(checked),
        "recorder_core": figures["recorder_core"] <= TARGETS["recorder_core"],
        "age": ages["traces"]["oldest"]["p99_ms"] <= TARGETS["age_p99_ms"],
        "connectivity_age": (
            ages["connectivity"]["oldest"]["p99_ms"] <= TARGETS["connectivity_age_ms"]
        ),
        "no_restart": not outcome["restarts"],
    }
    return {**machine, "parameters": parameters, "samples": checked, "ages": ages, **figures,
            "targets": TARGETS, "met": met}  # fmt: skip


def every_sample(checked: dict[str, Any]) -> bool:
    """Whether every sample of the device is stored in its place or in a gap that is told."""
    found = checked["samples"] + checked["in_gaps"]
    whole = found == checked.get("expected", found)
    return bool(
        checked["ok"] and whole and not checked["in_a_wrong_place"] and not checked["unexplained"]
    )


def _run(spec: SessionSpec, meter: Meter) -> tuple[View, dict[str, Any]]:
    begun = time.monotonic()
    with Session(spec) as session:
        while True:
            view = session.poll()
            if view.phase in ("done", "failed"):
                return view, session.outcome()
            if view.phase == "live" and time.monotonic() - begun > WARM_S:
                meter.take(session, view)
            time.sleep(0.01)


def _figures(meter: Meter, view: View, outcome: dict[str, Any]) -> dict[str, Any]:
    """Return what the session cost, and what it says of itself."""
    cores = {name: meter.cores(name) for name in meter.cpu}
    timings = outcome["timings"]
    return {
        "recorder_core": cores["recorder"]["all"],
        "pipeline_core": cores["pipeline"]["all"],
        "cores": cores,
        "recorder_whole_cpu_s": view.recorder.get("cpu_s"),
        "own_bytes": {
            name: {"first": values[0], "last": values[-1], "most": max(values)}
            for name, values in meter.memory.items()
        },
        "whole_session_since_arrival": outcome["live"]["age"],
        "sync_ms": view.recorder.get("sync_ms"),
        "clock": view.recorder.get("clock"),
        "stop_to_report_s": timings["report_ready"] - timings["last_sample"],
        "restarts": len(outcome["restarts"]),
        "trouble": outcome["trouble"],
    }


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
