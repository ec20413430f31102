"""The crash matrix: every trial on the recorder, its results as JSON and as a page of the docs.

``python -m tests.faults.crash_matrix`` runs all of it, in about a quarter of an hour, and writes
both; it exits with 1 where a trial left anything but what it had to leave.
"""

from __future__ import annotations

import json
import platform
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests.faults.bad_disks import FAILURES, failing, full_disk, second_recorder, torn
from tests.faults.counting_driver import N_CHANNELS, TOTAL, UNBUFFERED
from tests.faults.kills import Row, kill, points
from tests.faults.matrix_page import to_page
from tests.faults.oracle import device_samples
from tests.faults.power_cuts import cuts, judge, record
from tests.faults.recorder_server import ROOT, SHARD_SAMPLES, Recorders

RESULTS = Path(__file__).with_suffix(".json")
PAGE = ROOT / "docs/crash-matrix.md"
SEED = 20
#: probability of a cut on a disk that keeps some of the unsynced, at any call
CHANCES = 0.3
N_TORN = 60
#: bytes left free on a disk that is filled
BALLASTS = (0, 4096, 65536, 1 << 20)


def all_kills(recorders: Recorders, folder: Path) -> list[Row]:
    """Kill a recorder at every call; half are repaired, half taken over, by turns.

    Rows of moments that did not come are left out.
    """
    rows: list[Row] = []
    for point in points(recorders, folder):
        row = kill(recorders, folder, point, takeover=bool(len(rows) % 2))
        print(f"{len(rows)} {row.point} {row.how} {row.problems or 'ok'}", file=sys.stderr)
        if row.killed or row.problems:
            rows.append(row)
    return rows


def all_cuts(recorders: Recorders, folder: Path) -> dict[str, Any]:
    """Cut the power at every call."""
    (folder / "disk").mkdir()
    told = record(recorders, folder / "disk", folder / "calls")
    count: Counter[str] = Counter()
    bad = []
    where = folder / "left"
    seeds = random.Random(SEED)
    for cut in cuts(told, folder / "disk", where, seeds, strict=1.0, kinder=CHANCES):
        problems = judge(where, cut)
        count["strict" if cut.seed is None else "kinder"] += 1
        if problems:
            bad.append({**cut.__dict__, "problems": problems})
    return {"calls": len(told), **count, "bad": bad}


def _folder(base: Path, name: str) -> Path:
    folder = base / name
    folder.mkdir()
    return folder


def run(base: Path) -> dict[str, Any]:
    """Return the results of all trials, JSON-ready."""
    began = time.time()
    with Recorders() as one, Recorders() as two:
        kills = all_kills(one, _folder(base, "kills"))
        cut = all_cuts(one, _folder(base, "cuts"))
        trials = [failing(one, _folder(base, f"f{i}"), f) for i, f in enumerate(FAILURES)]
        trials += second_recorder(one, two, _folder(base, "second"))
        torn_ = list(torn(one, _folder(base, "torn"), random.Random(SEED), N_TORN))
    trials += [full_disk(_folder(base, f"full{b}"), b) for b in BALLASTS]
    return {
        "date": time.strftime("%Y-%m-%d"),
        "seconds": round(time.time() - began),
        "kernel": ".".join(platform.release().split(".")[:2]),
        "device": {
            "samples": TOTAL,
            "leave_it": len(device_samples()),
            "channels": N_CHANNELS,
            "shard": SHARD_SAMPLES,
            "unbuffered": UNBUFFERED,
        },
        "kills": [row.to_dict() for row in kills],
        "cuts": cut,
        "trials": [trial.to_dict() for trial in trials],
        "torn": [trial.to_dict() for trial in torn_],
    }


def failures(results: dict[str, Any]) -> list[Any]:
    """Return the trials that left what they must not leave."""
    rows = [*results["kills"], *results["trials"], *results["torn"]]
    return [row for row in rows if row["problems"]] + results["cuts"]["bad"]


def to_text(results: dict[str, Any]) -> str:
    """Return results as JSON, a trial a line."""
    parts = []
    for key, value in results.items():
        if isinstance(value, list):
            rows = ",\n".join(json.dumps(row, ensure_ascii=False) for row in value)
            parts.append(f'"{key}": [\n{rows}\n]')
        else:
            parts.append(f'"{key}": {json.dumps(value)}')
    return "{\n" + ",\n".join(parts) + "\n}\n"


def main() -> int:
    """Run everything and write what came of it."""
    with tempfile.TemporaryDirectory(prefix="brainforge-crash-") as base:
        results = json.loads(json.dumps(run(Path(base))))
    RESULTS.write_text(to_text(results), encoding="utf-8")
    PAGE.write_text(to_page(results), encoding="utf-8")
    bad = failures(results)
    print(f"{len(bad)} bad: {bad[:5]}" if bad else "all as it must be")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
