"""The end of a live session: from the last sample to findings, report and connectivity.

``python -m benchmarks.session_end [--minutes 30] [--aec both|with|without] [--archive PATH]``.
Each run is a fresh process. It sends an archive's samples down the exact path in blocks of
50 ms as fast as it takes them, with a checkpoint for every cell of the grid as in real time, and
stops a block before a cell is complete, where most is left to do. ``--check`` processes the same
archive offline as well and compares the results. Where no archive is given, a phantom is written
into a temporary folder first.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.job import WITH, WITHOUT, WITHOUT_AEC, write_phantom
from benchmarks.machine import account, free_cores, load
from benchmarks.store import RESULTS, Row, merge

SESSION_END = RESULTS / "session_end.json"
NAMES = (WITHOUT, WITH)
#: seconds from the last sample to the report of 30 minutes on two cores, at most; milliseconds
#: of CPU that a block of 50 ms takes, checkpoints included
TARGET_S, TARGET_MS = {WITHOUT: 5.0, WITH: 9.0}, 0.8
BLOCK = 50


def session(archive: Path, recipe: str, folder: Path, *, check: bool) -> dict[str, Any]:
    """Run one session in this process; return its figures."""
    import brainforge as bf
    from brainforge.backend import Backend
    from brainforge.live.exact import SHELF, ExactPath
    from brainforge.live.outputs import write_outputs
    from brainforge.live.warm import warm
    from brainforge.pipeline.assemble import Account
    from brainforge.provenance import peak_rss_bytes
    from brainforge.recipe import load_recipe

    recording, chosen = bf.open(archive), load_recipe(recipe)
    recording = recording.crop(recording.start, recording.stop - BLOCK)
    dtype = recording.read(recording.start, recording.start + 1).data.dtype.name
    begun, cpu = time.perf_counter(), time.process_time()
    warm(chosen, recording.info, dtype)
    warm_s, warm_cpu_s = time.perf_counter() - begun, time.process_time() - cpu
    cpu = time.process_time()
    n_blocks = sum(-(-b.data.shape[1] // BLOCK) for b in recording.blocks(10_000))
    reading_s = time.process_time() - cpu
    # its clock goes with the stream, so that there are as many checkpoints as in real time
    signal = Signal()
    path = signal.path = ExactPath(chosen, recording.info, Backend(), folder, monotonic=signal)
    cpu = time.process_time()
    feed(path, recording)
    streaming_s = time.process_time() - cpu - reading_s
    before, cpu = peak_rss_bytes(), time.process_time()
    begun = time.perf_counter()
    result = path.finish(Account.of(recording))
    found = time.perf_counter()
    write_outputs(result, folder / "results", archive=str(archive))
    written = time.perf_counter()
    figures = {
        "wall_s": written - begun,
        "findings_s": found - begun,
        "outputs_s": written - found,
        "cpu_s": time.process_time() - cpu,
        "timings": result.timings,
        "block_cpu_ms": 1e3 * streaming_s / n_blocks,
        "checkpoints": path.n_saved,
        "checkpoint_bytes": path.saved_bytes,
        "checkpoint_cpu_ms": 1e3 * path.saved_cpu_s,
        "shelf_bytes": (folder / SHELF).stat().st_size,
        "streaming_rss_bytes": before,
        "peak_rss_bytes": peak_rss_bytes(),
        "warm_s": warm_s,
        "warm_cpu_s": warm_cpu_s,
    }
    path.close()
    if check:
        figures["equal"] = same(result, bf.process(recording, chosen, backend=Backend()))
    return figures


class Signal:
    """The seconds of signal that a path has taken up, as its clock."""

    def __init__(self) -> None:
        self.path: Any = None

    def __call__(self) -> float:
        return (self.path.n_fed - self.path.behind) / self.path.info.sfreq if self.path else 0.0


def feed(path: Any, recording: Any) -> None:
    """Send a recording down a path, and wait until it has taken up all but the last second."""
    from brainforge.block import RawBlock

    for block in recording.blocks(10_000):
        for at in range(0, block.data.shape[1], BLOCK):
            data = block.data[:, at : at + BLOCK]
            path.feed(RawBlock(data, block.info, block.start + at, block.masks))
    while path.behind >= recording.info.sfreq:
        time.sleep(0.01)


def same(live: Any, offline: Any) -> bool:
    """Return whether two results have the same bits where it matters most."""
    import numpy as np

    values = offline.connectivity.values
    return (
        np.array_equal(live.spectra.after, offline.spectra.after)
        and np.array_equal(live.operator.matrix, offline.operator.matrix)
        and live.findings == offline.findings
        and all(
            np.array_equal(live.connectivity.values[m][b], values[m][b], equal_nan=True)
            for m in values
            for b in values[m]
        )
    )


def run_session(archive: Path, recipe: str, *, check: bool) -> dict[str, Any]:
    """Run one session in a fresh process."""
    command = [sys.executable, "-m", "benchmarks.session_end", "--archive", str(archive)]
    command += ["--session", recipe, *(["--check"] if check else [])]
    before, free = load(), free_cores()
    done = subprocess.run(
        command, stdout=subprocess.PIPE, check=True, cwd=Path(__file__).resolve().parent.parent
    )
    figures = json.loads(done.stdout.splitlines()[-1])
    return {**figures, "load_average": [before, load()], "free_cores": [free, free_cores()]}


def measure(
    archive: Path, folder: Path, name: str, parameters: dict[str, Any], repeats: int, check: bool
) -> Row:
    """Run sessions with or without AEC; return the row."""
    recipe = "resting"
    if name == WITHOUT:
        recipe = str(folder / "without-aec.toml")
        Path(recipe).write_text(WITHOUT_AEC, encoding="utf-8")
    runs = []
    for i in range(repeats):
        print(f"{name}: session {i + 1} of {repeats} ...", file=sys.stderr, flush=True)
        runs.append(run_session(archive, recipe, check=check and i == 0))
    equal = {"equal": runs[0]["equal"]} if check else {}
    runs.sort(key=lambda r: r["wall_s"])
    return {
        "name": name, **parameters, **account(), "repeats": repeats,
        "run": runs[len(runs) // 2], "walls_s": [r["wall_s"] for r in runs],
        "median_wall_s": median(r["wall_s"] for r in runs),
        "block_cpu_ms": median(r["block_cpu_ms"] for r in runs),
        "peak_rss_bytes": max(r["peak_rss_bytes"] for r in runs),
        **equal,
    }  # fmt: skip


def verdicts(row: Row) -> list[tuple[str, str, bool]]:
    """Return what was wanted of a row, what was reached, and whether that is enough."""
    wall, block = row["median_wall_s"], row["block_cpu_ms"]
    out = [(f"CPU a block at most {TARGET_MS} ms", f"{block:.2f} ms", block <= TARGET_MS)]
    if row["minutes"] == 30 and row["n_channels"] == 306:
        limit = TARGET_S[row["name"]]
        out.append((f"report at most {limit:g} s after stop", f"{wall:.2f} s", wall <= limit))
    if "equal" in row:
        out.append(("the same as offline", "yes" if row["equal"] else "no", row["equal"]))
    return out


def print_row(row: Row) -> None:
    """Print a row's figures beside their targets."""
    run = row["run"]
    print(
        f"{row['minutes']:g} min, {row['n_channels']} channels, {row['name']}: "
        f"{row['median_wall_s']:.2f} s after stop (findings {run['findings_s']:.2f} s, outputs "
        f"{run['outputs_s']:.2f} s, CPU {run['cpu_s']:.2f} s), peak memory "
        f"{row['peak_rss_bytes'] / 1e9:.2f} GB, {run['streaming_rss_bytes'] / 1e9:.2f} GB before; "
        f"checkpoint {run['checkpoint_bytes'] / 1e6:.1f} MB, {run['checkpoint_cpu_ms']:.0f} ms"
    )
    for text, reached, met in verdicts(row):
        print(f"  {text}: {reached} ({'met' if met else 'NOT met'})")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.session_end", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0, help="of phantom")
    parser.add_argument("--channels", type=int, default=306)
    parser.add_argument("--aec", choices=("both", "with", "without"), default="both")
    parser.add_argument("--archive", type=Path, help="of a phantom, else written anew")
    parser.add_argument("--folder", type=Path, help="for temporary files")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--check", action="store_true", help="compare with offline processing")
    parser.add_argument("--session", metavar="RECIPE", help=argparse.SUPPRESS)
    parser.add_argument("--json", type=Path, default=SESSION_END, metavar="FILE")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="brainforge-end-", dir=given.folder) as place:
        folder = Path(place)
        if given.session:
            print(json.dumps(session(given.archive, given.session, folder, check=given.check)))
            return 0
        archive = given.archive or folder / "phantom.zarr"
        if not archive.exists():
            write_phantom(archive, given.minutes, given.channels, 1000.0, 7)
        parameters = {"minutes": given.minutes, "n_channels": given.channels, "sfreq": 1000.0}
        names = {"both": NAMES, "with": (WITH,), "without": (WITHOUT,)}[given.aec]
        rows = [
            measure(archive, folder, name, parameters, given.repeats, given.check) for name in names
        ]
        merge(given.json, rows, NAMES)
    for row in rows:
        print_row(row)
    print(given.json)
    return 0 if all(met for row in rows for _, _, met in verdicts(row)) else 1


if __name__ == "__main__":
    raise SystemExit(main())
