"""Every stage beside its peer, on the same data in the same run, over lengths and channels.

``python -m benchmarks.peers [--only ROW,ROW] [--minutes 2.5,5] [--channels 64,306] [--fresh 12]
[--budget 420] [--quick]``. Every row is written when it is done, so a run can be done in slices:
``--fresh HOURS`` leaves out what was measured within those hours, ``--budget SECONDS`` begins no
row after them. Exit code 1 where a bound of accuracy is not kept.
"""

from __future__ import annotations

import argparse
import gc
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.clock import SLOW_S
from benchmarks.laws import fill
from benchmarks.machine import account, now
from benchmarks.material import Material
from benchmarks.runner import run
from benchmarks.sizes import QUICK, Size, grid, headline
from benchmarks.stages import NEED_LENGTH, STAGES, stage_module
from benchmarks.store import PEERS, Row, is_fresh, key, load_rows, merge
from benchmarks.table import print_rows
from brainforge.provenance import peak_rss_bytes


def measure(
    size: Size,
    stages: Sequence[str] = STAGES,
    *,
    sfreq: float = 1000.0,
    repeats: int = 3,
    seed: int = 7,
    slow_s: float = SLOW_S,
    folder: str | None = None,
) -> Iterator[Row]:
    """Run stages at one size; yield each row, JSON-ready, when it is done.

    At their headline size the peers work on everything, at others the slow ones on a part.
    """
    # all of them at once: one that cannot be imported shows before the minutes are spent
    modules = {name: stage_module(name) for name in stages}
    told = account()
    with tempfile.TemporaryDirectory(prefix="brainforge-bench-", dir=folder) as place:
        material = Material(size.minutes, Path(place), size.n_channels, sfreq, seed)
        for name, module in modules.items():
            print(f"{name}, {material.size} ...", file=sys.stderr, flush=True)
            material.whole = size == headline(name)
            done = run(name, module.build(material), repeats, with_peer=size.with_peer,
                       slow_s=slow_s)  # fmt: skip
            parameters = {
                "minutes": size.minutes, "n_channels": size.n_channels, "sfreq": sfreq,
                "seed": seed,
            }  # fmt: skip
            ran = {key: done[key] for key in ("load_average", "free_cores")}
            peak = {"process_peak_bytes": peak_rss_bytes()}
            yield {**done, **parameters, **told, "date": now(), **ran, **peak}
            gc.collect()


def all_met(rows: Sequence[Row]) -> bool:
    """Return whether every bound of accuracy is kept."""
    return all(figure["met"] for row in rows for figure in row["accuracy"])


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--only", default=",".join(STAGES), help="rows, by commas")
    parser.add_argument("--minutes", help="lengths, by commas; else all sizes")
    parser.add_argument("--channels", help="numbers of channels, by commas; else all sizes")
    parser.add_argument("--headline", action="store_true", help="the first table's sizes only")
    parser.add_argument("--quick", action="store_true", help="seconds, results not kept")
    parser.add_argument("--repeats", type=int, default=3, help="after the warm-up")
    parser.add_argument("--slow", type=float, default=SLOW_S, help="peers slower: timed once")
    parser.add_argument("--fresh", type=float, default=0.0, metavar="HOURS")
    parser.add_argument("--budget", type=float, default=float("inf"), metavar="SECONDS")
    parser.add_argument("--folder", help="for temporary files")
    parser.add_argument("--json", type=Path, default=PEERS, metavar="FILE")
    given = parser.parse_args(arguments)
    stages = [s for s in given.only.split(",") if s]
    if unknown := sorted(set(stages) - set(STAGES)):
        parser.error(f"unknown rows {', '.join(unknown)}; known: {', '.join(STAGES)}")
    with tempfile.TemporaryDirectory() as aside:
        path = Path(aside) / "peers.json" if given.quick else given.json
        done = _run(given, _plan(given, stages, path), path)
    print_rows(done)
    print(f"{len(done)} rows" + (f" into {path}" * (not given.quick)))
    return 0 if all_met(done) else 1


def _plan(given: Any, stages: list[str], path: Path) -> list[tuple[Size, list[str]]]:
    """Return what is to be run: the rows of every size."""
    if given.quick:
        return [(QUICK, [s for s in stages if s not in NEED_LENGTH])]
    known = {key(row): row for row in load_rows(path)}
    out = []
    for size in _sizes(given):
        todo = [
            s for s in stages
            if not (given.headline and size != headline(s))
            and not is_fresh(known.get((s, size.minutes, size.n_channels)), given.fresh)
        ]  # fmt: skip
        if todo:
            out.append((size, todo))
    return out


def _sizes(given: Any) -> list[Size]:
    if given.minutes and given.channels:
        lengths = [float(m) for m in given.minutes.split(",")]
        return [Size(m, int(n)) for m in lengths for n in given.channels.split(",")]
    lengths = {float(m) for m in given.minutes.split(",")} if given.minutes else None
    counts = {int(n) for n in given.channels.split(",")} if given.channels else None
    return [
        s for s in grid()
        if (lengths is None or s.minutes in lengths) and (counts is None or s.n_channels in counts)
    ]  # fmt: skip


def _run(given: Any, plan: list[tuple[Size, list[str]]], path: Path) -> list[Row]:
    begun, done = time.monotonic(), []
    for size, stages in plan:
        rows = measure(size, stages, repeats=1 if given.quick else max(given.repeats, 1),
                       slow_s=given.slow, folder=given.folder)  # fmt: skip
        for row in rows:
            every = {key(r): r for r in merge(path, [row], STAGES, fill)}
            done.append(every[key(row)])
            if time.monotonic() - begun > given.budget:
                print("the budget is spent; run again with --fresh", file=sys.stderr)
                rows.close()  # type: ignore[attr-defined]
                return done
    return done


if __name__ == "__main__":
    raise SystemExit(main())
