"""Every stage beside its peer, on the same data in the same run.

``python -m benchmarks.peers [--minutes 5] [--stages fir_decimate,psd] [--json FILE]``. Exit code
1 where a bound of accuracy is not kept.
"""

from __future__ import annotations

import argparse
import gc
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.machine import account
from benchmarks.material import Material
from benchmarks.runner import run
from benchmarks.stages import STAGES, stage_module
from benchmarks.table import RESULTS, print_rows, save


def measure(
    minutes: float,
    stages: Sequence[str] = STAGES,
    *,
    n_channels: int = 306,
    sfreq: float = 1000.0,
    repeats: int = 3,
    seed: int = 7,
    folder: str | None = None,
    quiet: bool = True,
) -> dict[str, Any]:
    """Run stages and return account, parameters and one row for each, JSON-ready."""
    # all of them at once: one that cannot be imported shows before the minutes are spent
    modules = {name: stage_module(name) for name in stages}
    result = account()
    result["parameters"] = {
        "minutes": minutes, "n_channels": n_channels, "sfreq": sfreq, "repeats": repeats,
        "seed": seed,
    }  # fmt: skip
    result["stages"] = []
    with tempfile.TemporaryDirectory(prefix="brainforge-bench-", dir=folder) as place:
        material = Material(minutes, Path(place), n_channels, sfreq, seed)
        for name, module in modules.items():
            if not quiet:
                print(f"{name} ...", file=sys.stderr, flush=True)
            result["stages"].append(run(name, module.build(material), repeats))
            gc.collect()
    return result


def all_met(result: dict[str, Any]) -> bool:
    """Return whether every bound of accuracy is kept."""
    return all(figure["met"] for row in result["stages"] for figure in row["accuracy"])


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0, help="of phantom")
    parser.add_argument("--channels", type=int, default=306)
    parser.add_argument("--repeats", type=int, default=3, help="after the warm-up")
    parser.add_argument("--stages", default=",".join(STAGES), help="names, by commas")
    parser.add_argument("--folder", help="for temporary files")
    parser.add_argument("--json", type=Path, default=RESULTS / "peers.json", metavar="FILE")
    given = parser.parse_args(arguments)
    stages = [s for s in given.stages.split(",") if s]
    if unknown := sorted(set(stages) - set(STAGES)):
        parser.error(f"unknown stages {', '.join(unknown)}; known: {', '.join(STAGES)}")
    result = measure(
        given.minutes, stages, n_channels=given.channels, repeats=given.repeats,
        folder=given.folder, quiet=False,
    )  # fmt: skip
    print_rows(result)
    save(result, given.json)
    print(given.json)
    return 0 if all_met(result) else 1


if __name__ == "__main__":
    raise SystemExit(main())
