"""What the compile cache does to the first run: from the start of the process to the result.

``python -m benchmarks.start [--repeats 3] [--json FILE]``. ``brainforge process`` works on the
bundled recording, report included: cold (no compiled kernel; Python's bytecode is there, as an
installation leaves it), warm (both), and with neither. Every run is a fresh process with caches
of its own in a temporary folder.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.machine import account, free_cores, load
from benchmarks.store import START, rounded
from benchmarks.table import header, seconds

#: seconds at most
TARGETS = {"cold": 10.0, "warm": 3.0}
ROOT = Path(__file__).resolve().parent.parent


def environment(folder: Path, compiled: str, bytecode: str = "bytecode") -> dict[str, str]:
    """Return the environment of a run whose caches lie in subfolders of ``folder``."""
    known = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return {
        **known,
        "NUMBA_CACHE_DIR": str(folder / compiled),
        "PYTHONPYCACHEPREFIX": str(folder / bytecode),
    }


def one_run(folder: Path, compiled: str, bytecode: str = "bytecode") -> dict[str, Any]:
    """Run the bundled recording once; return seconds in all, of CPU and by stage."""
    from brainforge.datasets.bundled import sample_path

    command = [
        sys.executable, "-m", "brainforge", "process", str(sample_path()), "--out",
        str(folder / "out"), "--json", "--quiet", "--overwrite",
    ]  # fmt: skip
    begun = time.perf_counter()
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, cwd=ROOT, env=environment(folder, compiled, bytecode)
    ) as child:
        assert child.stdout is not None
        text = child.stdout.read()
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - begun
    if child.returncode:
        raise SystemExit(f"brainforge process ended with exit code {child.returncode}")
    return {
        "wall_s": wall,
        "cpu_s": used.ru_utime + used.ru_stime,
        "timings": json.loads(text)["timings"],
    }


def compile_seconds(folder: Path) -> dict[str, float]:
    """Return seconds of compilation by kernel, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.compile_trace"],
        stdout=subprocess.PIPE, check=True, cwd=ROOT, env=environment(folder, "traced"),
    )  # fmt: skip
    return json.loads(done.stdout.splitlines()[-1])


def measure(repeats: int = 3) -> dict[str, Any]:
    """Run all of it; return account and runs, JSON-ready."""
    result = account()
    before = load(), free_cores()
    with tempfile.TemporaryDirectory(prefix="brainforge-start-") as place:
        folder = Path(place)
        neither = [one_run(folder, "first")]
        cold = [one_run(folder, f"cold-{i}") for i in range(repeats)]
        warm = [one_run(folder, "cold-0") for _ in range(repeats)]
        result["compiled"] = compile_seconds(folder)
    result["runs"] = {"neither": neither, "cold": cold, "warm": warm}
    result["median_wall_s"] = {
        k: median(r["wall_s"] for r in runs) for k, runs in result["runs"].items()
    }
    result["load_average"] = [before[0], load()]
    result["free_cores"] = [before[1], free_cores()]
    return result


def verdicts(result: dict[str, Any]) -> list[tuple[str, float, float, bool]]:
    """Return (which start, median seconds, wanted at most, met)."""
    found = result["median_wall_s"]
    return [(name, found[name], most, found[name] <= most) for name, most in TARGETS.items()]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.start", description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path, default=START, metavar="FILE")
    given = parser.parse_args(arguments)
    result = rounded(measure(given.repeats))
    print(header(result))
    for name, reached, most, met in verdicts(result):
        print(f"{name}: {seconds(reached)}, at most {most:g} s ({'met' if met else 'NOT met'})")
    print(f"neither bytecode nor kernels: {seconds(result['median_wall_s']['neither'])}")
    total = sum(result["compiled"].values())
    print(f"compilation {seconds(total)} in {len(result['compiled'])} kernels:")
    for name, spent in result["compiled"].items():
        print(f"  {seconds(spent):>8}  {name.removeprefix('brainforge.kernels.')}")
    given.json.parent.mkdir(parents=True, exist_ok=True)
    given.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(given.json)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
