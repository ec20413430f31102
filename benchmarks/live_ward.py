"""Many live patients at once on one core: does anything grow old?

``python -m benchmarks.live_ward [--patients 15] [--seconds 120]``. One process on the first core
sends phantoms of 306 channels over TCP; recorders and pipelines of all patients share the last
core. When all are calibrated and have caught up the measurement begins. Ages count from when the
device took a sample, so what a recorder has to wait for its core is in them.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.live_ages import Sight, percentiles
from benchmarks.live_device import BLOCK, SFREQ
from benchmarks.live_session import compared, every_sample
from benchmarks.machine import account
from benchmarks.processes import cpu_s, own_bytes
from brainforge.session.session import Session, View
from brainforge.session.spec import SessionSpec

RESULTS = Path(__file__).parent / "results" / "live_ward.json"
TARGET_PATIENTS = 15
#: seconds that all may take to start, compile and calibrate
START_S = 900.0
#: seconds between two looks at all patients
LOOK_S = 0.05
#: a patient has caught up when its newest shown sample is younger
CAUGHT_UP_S = 0.5


class Ward:
    """The sessions of all patients, looked after from another core."""

    def __init__(self) -> None:
        self.sessions: list[Session] = []
        self.sights: list[Sight] = []
        self.restarts = 0

    def add(self, session: Session) -> None:
        """Take one more patient."""
        self.sessions.append(session)
        self.sights.append(Sight())

    def look(self) -> list[View]:
        """Look after all sessions once and note the ages that are new."""
        views = [session.poll() for session in self.sessions]
        for sight, view in zip(self.sights, views, strict=True):
            sight.look({t: s for t, s in view.topics.items() if t == "traces"})
        self.restarts = sum(len(view.restarts) for view in views)
        return views

    def ready(self, views: list[View]) -> bool:
        """Whether all are calibrated and show what is new."""
        now = time.monotonic()
        for sight, view in zip(self.sights, views, strict=True):
            status, shown = view.topics.get("status"), sight.topics.get("traces")
            if status is None or not status.meta.get("revision") or not shown:
                return False
            last = shown[-1]
            if now - last.written > 1.0 or last.written - last.arrival > CAUGHT_UP_S:
                return False
        return True

    def used(self) -> dict[str, float]:
        """Return CPU seconds of all recorders and of all pipelines."""
        total = {"recorder": 0.0, "pipeline": 0.0}
        for session in self.sessions:
            for name, pid in session.pids.items():
                if pid is not None:
                    total[name] += cpu_s(pid)
        return total

    def memory(self) -> int:
        """Return the bytes that are all processes' own."""
        pids = [p for s in self.sessions for p in s.pids.values() if p is not None]
        return sum(own_bytes(pid) for pid in pids)


def measure(patients: int, seconds: float, channels: int) -> dict[str, Any]:
    """Run the ward and return its figures, JSON-ready."""
    machine = account()
    cores = sorted(os.sched_getaffinity(0))
    command = [sys.executable, "-m", "benchmarks.live_device", "tcp", "--streams", str(patients),
               "--channels", str(channels), "--seconds", str(START_S + seconds + 120)]  # fmt: skip
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="brainforge-ward-"))
        # the device and this process keep to the first core, the patients to the last
        os.sched_setaffinity(0, {cores[0]})
        stack.callback(os.sched_setaffinity, 0, set(cores))
        device = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        stack.callback(device.terminate)
        assert device.stdout is not None
        said = json.loads(device.stdout.readline())
        addresses = said["addresses"]
        specs = [
            SessionSpec(source=address, archive=f"{folder}/p{i}.zarr", threads=1)
            for i, address in enumerate(addresses)
        ]
        ward = Ward()
        for spec in specs:
            os.sched_setaffinity(0, {cores[-1]})
            ward.add(stack.enter_context(Session(spec)))
            os.sched_setaffinity(0, {cores[0]})
            _wait(ward)
        found, ready, end = _measured(ward, seconds)
        checked = []
        # one after the other: what is measured here is the live state, not fifteen ends at once
        for spec, session in zip(specs, ward.sessions, strict=True):
            session.close()
            checked.append(compared(Path(spec.archive)))
    # streams take turns within 50 ms
    begun = [said["begun"] + (i / patients * BLOCK + c["first_number"]) / SFREQ
             for i, c in enumerate(checked)]  # fmt: skip
    found |= _ages(ward, begun, ready, end)
    found["every_sample"] = all(every_sample(c) for c in checked)
    found["samples"] = sum(c["samples"] for c in checked)
    found["in_gaps"] = sum(c["in_gaps"] for c in checked)
    return {
        **machine,
        "parameters": {"patients": patients, "seconds": seconds, "channels": channels,
                       "sfreq": 1000.0, "block_ms": 50, "core": cores[-1]},
        **found,
        "target_patients": TARGET_PATIENTS,
        "met": bool(found["real_time"] and found["every_sample"] and patients >= TARGET_PATIENTS),
    }  # fmt: skip


def _wait(ward: Ward) -> None:
    """Wait until the patient who came last is shown: patients come one after the other."""
    begun = time.monotonic()
    while "traces" not in ward.look()[-1].topics:
        if time.monotonic() - begun > START_S:
            raise TimeoutError(f"a patient was not shown within {START_S:g} s")
        time.sleep(LOOK_S)


def _measured(ward: Ward, seconds: float) -> tuple[dict[str, Any], float, float]:
    """Watch the ward; return what it cost, and from when to when."""
    begun = time.monotonic()
    while not ward.ready(ward.look()):
        if time.monotonic() - begun > START_S:
            raise TimeoutError(f"not all patients caught up within {START_S:g} s")
        time.sleep(LOOK_S)
    ready = time.monotonic()
    before, memory = ward.used(), ward.memory()
    while time.monotonic() - ready < seconds:
        ward.look()
        time.sleep(LOOK_S)
    end = time.monotonic()
    after = ward.used()
    found = {
        "ready_s": ready - begun,
        "cores": {name: (after[name] - before[name]) / (end - ready) for name in after},
        "own_bytes": {"first": memory, "last": ward.memory()},
        "restarts": ward.restarts,
    }
    return found, ready, end


def _ages(ward: Ward, begun: list[float], ready: float, end: float) -> dict[str, Any]:
    """Return how old the newest sample was when it was shown, and the longest without news.

    Ages count from when the device took a sample; there are percentiles of all, of the first and
    of the last third, and those by the recorders' own arrival for comparison.
    """
    third = (end - ready) / 3
    parts: dict[str, list[float]] = {
        "all": [], "first_third": [], "last_third": [], "since_arrival": [],
    }  # fmt: skip
    stalest = 0.0
    for sight, zero in zip(ward.sights, begun, strict=True):
        inside = [s for s in sight.topics["traces"] if ready <= s.written <= end]
        aged = [(s.written, s.written - zero - s.sample / SFREQ) for s in inside]
        parts["all"] += [a for _, a in aged]
        parts["first_third"] += [a for t, a in aged if t < ready + third]
        parts["last_third"] += [a for t, a in aged if t > end - third]
        parts["since_arrival"] += [s.written - s.arrival for s in inside]
        stalest = max(stalest, float(np.diff([ready, *(t for t, _ in aged), end]).max()))
    ages = {name: percentiles(values) for name, values in parts.items()}
    # an age that grows with time is a patient that falls behind
    grown = ages["last_third"]["p50_ms"] > 1.5 * ages["first_third"]["p50_ms"] + 20
    return {
        "ages": ages,
        "longest_without_news_s": stalest,
        "grown": bool(grown),
        "real_time": bool(not grown and stalest <= 3.0),
        "p99_below_a_second": bool(ages["all"]["p99_ms"] <= 1000),
    }


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.live_ward", description=__doc__)
    parser.add_argument("--patients", type=int, default=TARGET_PATIENTS)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--channels", type=int, default=306)
    parser.add_argument("--json", type=Path, default=RESULTS)
    options = parser.parse_args(argv)
    found = measure(options.patients, options.seconds, options.channels)
    text = json.dumps(found, indent=1)
    print(text)
    options.json.write_text(text + "\n", encoding="utf-8")
    return 0 if found["met"] else 1


if __name__ == "__main__":
    raise SystemExit(main())
