"""The whole job: 306 channels, 1 kHz, from archive to report, warm, with and without AEC.

``python -m benchmarks.job [--minutes 30] [--aec both|with|without] [--archive PATH]`` runs the
product, ``--peer`` MNE's chain on as many minutes (5 or 10: it runs out of memory). Where no
archive is given, a phantom is written into a temporary folder first and removed at the end.
``brainforge process`` runs in a fresh process, once to warm the caches and then for the record.
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
from benchmarks.material import Material
from benchmarks.store import JOB, Row, load_rows, merge
from benchmarks.table import header, seconds

WITH, WITHOUT, PEER = "with AEC", "without AEC", "MNE"
NAMES = (WITHOUT, WITH, PEER)
#: what 30 minutes on two cores need at most, the peer's seconds over the product's at least, and
#: the memory at any length
TARGET_S, TARGET_RATIO, TARGET_BYTES = {WITH: 10.0, WITHOUT: 6.5}, 60.0, 2e9
WITHOUT_AEC = 'name = "resting-without-aec"\n[connectivity]\naec = false\n'
#: the product's stages, and the peer's that belong to them
STAGES = {
    "ingest_s": ("read (waiting)", ("ingest_s",)),
    "preprocess_s": ("quality, muscle, FIR, spectra, bad channels, HFC, repair", ("preprocess_s",)),
    "artifacts_s": ("ICA, heart and eyes", ("artifacts_s",)),
    "connectivity_s": ("connectivity, AEC, graph", ("connectivity_s", "aec_s")),
    "findings_s": ("findings", ()),
    "report_s": ("report", ("report_s",)),
}


def run_process(archive: Path, out: Path, recipe: str, threads: int = 0) -> dict[str, Any]:
    """Run ``brainforge process`` in a fresh process; return its JSON, seconds and memory."""
    command = [
        sys.executable, "-m", "brainforge", "process", str(archive), "--out", str(out),
        "--recipe", recipe, "--json", "--quiet", "--overwrite", "--threads", str(threads),
    ]  # fmt: skip
    with tempfile.TemporaryFile() as stdout:
        before, free = load(), free_cores()
        begun = time.perf_counter()
        child = subprocess.Popen(command, stdout=stdout)
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        wall = time.perf_counter() - begun
        stdout.seek(0)
        text = stdout.read()
    if child.returncode:
        raise SystemExit(f"brainforge process ended with exit code {child.returncode}")
    payload = json.loads(text)
    return {
        "wall_s": wall,
        "cpu_s": used.ru_utime + used.ru_stime,
        "peak_rss_bytes": used.ru_maxrss * 1024,
        "load_average": [before, load()],
        "free_cores": [free, free_cores()],
        "timings": payload["timings"],
        "found": {
            "bad_channels": [f"{b['name']} {b['reason']}" for b in payload["bad_channels"]],
            "heartbeats": payload["artifacts"]["ecg"]["n_events"],
            "blinks": payload["artifacts"]["eog"]["n_events"],
            "removed": [c["kind"] for c in payload["components"]["removed"]],
        },
    }


def run_peer(folder: Path, minutes: float, channels: int, sfreq: float, seed: int) -> Any:
    """Run MNE's chain in a fresh process, warm; return seconds and memory."""
    fif = Material(minutes, folder, channels, sfreq, seed).fif
    command = [sys.executable, "-m", "benchmarks.mne_chain", str(fif)]
    root = Path(__file__).resolve().parent.parent
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, cwd=root)
    return json.loads(done.stdout.splitlines()[-1])


def write_phantom(path: Path, minutes: float, channels: int, sfreq: float, seed: int) -> None:
    """Write the phantom's archive."""
    from brainforge.archive import import_recording
    from brainforge.datasets import Phantom

    print(f"writing {path} ...", file=sys.stderr, flush=True)
    phantom = Phantom(n_channels=channels, sfreq=sfreq, duration=60 * minutes, seed=seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    import_recording(phantom.recording(), path)


def measure(
    archive: Path, folder: Path, name: str, parameters: dict[str, Any], *, repeats: int = 3
) -> Row:
    """Run the job with or without AEC; return its row."""
    recipe = "resting"
    if name == WITHOUT:
        recipe = str(folder / "without-aec.toml")
        Path(recipe).write_text(WITHOUT_AEC, encoding="utf-8")
    out = folder / "job"
    print(f"{name}: warming up ...", file=sys.stderr, flush=True)
    # compiled kernels and the file's pages come of any length; one long run needs no other
    runs = [run_process(archive, out, recipe) for _ in range(max(repeats, 1) + (repeats > 0))]
    runs = sorted(runs[1:] if repeats else runs, key=lambda r: r["wall_s"])
    walls = [r["wall_s"] for r in runs]
    return {
        "name": name, **parameters, **account(), "repeats": repeats,
        "run": runs[len(runs) // 2], "walls_s": walls, "median_wall_s": median(walls),
        "peak_rss_bytes": max(r["peak_rss_bytes"] for r in runs),
    }  # fmt: skip


def peer_at(rows: Sequence[Row], minutes: float, n_channels: int) -> dict[str, Any] | None:
    """Return the peer's seconds by stage at a length; on a line through two, in proportion to one.

    ``extrapolated`` says how; it is empty where that length was run.
    """
    known = sorted(
        (r for r in rows if r["name"] == PEER and r["n_channels"] == n_channels),
        key=lambda r: r["minutes"],
    )
    if not known:
        return None
    for row in known:
        if row["minutes"] == minutes:
            return {"seconds": row["seconds"], "extrapolated": ""}
    last = known[-1]
    if len(known) == 1:
        factor = minutes / last["minutes"]
        scaled = {k: v * (1.0 if k == "report_s" else factor) for k, v in last["seconds"].items()}
        return {"seconds": scaled, "extrapolated": f"in proportion to {last['minutes']:g} min"}
    first = known[-2]
    share = (minutes - last["minutes"]) / (last["minutes"] - first["minutes"])
    line = {k: v + share * max(v - first["seconds"][k], 0.0) for k, v in last["seconds"].items()}
    through = f"line through {first['minutes']:g} and {last['minutes']:g} min"
    return {"seconds": line, "extrapolated": through}


def stages(row: Row, rows: Sequence[Row]) -> list[tuple[str, float, float | None]]:
    """Return (stage, product's seconds, peer's seconds), the total last."""
    timings, peer = row["run"]["timings"], peer_at(rows, row["minutes"], row["n_channels"])
    out: list[tuple[str, float, float | None]] = []
    total, named = 0.0, 0.0
    for key, (label, theirs) in STAGES.items():
        spent = None
        if peer and theirs:
            counted = [n for n in theirs if n != "aec_s" or row["name"] == WITH]
            spent = sum(peer["seconds"].get(n, 0.0) for n in counted)
            total += spent
        named += timings.get(key, 0.0)
        out.append((label, timings.get(key, 0.0), spent))
    out.append(("imports and outputs", timings["total_s"] - named, None))
    out.append(("total", timings["total_s"], total if peer else None))
    return out


def counted(row: Row, rows: Sequence[Row]) -> bool:
    """Return whether the peer's seconds beside a row are not all measured: AEC never is."""
    peer = peer_at(rows, row["minutes"], row["n_channels"])
    return peer is not None and (bool(peer["extrapolated"]) or row["name"] == WITH)


def verdicts(row: Row, rows: Sequence[Row]) -> list[tuple[str, str, bool]]:
    """Return what was wanted of a row, what was reached, and whether that is enough."""
    out = []
    wall = row["median_wall_s"]
    if row["minutes"] == 30 and row["n_channels"] == 306:
        limit = TARGET_S[row["name"]]
        out.append((f"whole process at most {limit:g} s", seconds(wall), wall <= limit))
    theirs = stages(row, rows)[-1][2]
    if theirs is not None:
        ratio = theirs / wall
        how = " X" * counted(row, rows)
        out.append((f"MNE's chain over it at least {TARGET_RATIO:g}×", f"{ratio:.3g}×{how}",
                    ratio >= TARGET_RATIO))  # fmt: skip
    peak = row["peak_rss_bytes"]
    text = f"peak memory at most {TARGET_BYTES / 1e9:g} GB"
    out.append((text, f"{peak / 1e9:.2f} GB", peak <= TARGET_BYTES))
    return out


def print_job(row: Row, rows: Sequence[Row]) -> None:
    """Print the stages, the totals and the memory beside the targets."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    console.print(header(row))
    table = Table(title=f"{row['minutes']:g} min, {row['n_channels']} channels, {row['name']}")
    for name in ("stage", "Brain-Forge", "MNE", "ratio"):
        table.add_column(name, justify="left" if name == "stage" else "right")
    for label, ours, theirs in stages(row, rows):
        ratio = f"{theirs / ours:.3g}x" if theirs is not None and ours > 0.01 else ""
        table.add_row(label, seconds(ours), "" if theirs is None else seconds(theirs), ratio)
    console.print(table)
    for text, reached, met in verdicts(row, rows):
        console.print(f"{text}: {reached} ({'met' if met else 'NOT met'})")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.job", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0, help="of phantom")
    parser.add_argument("--channels", type=int, default=306)
    parser.add_argument("--aec", choices=("both", "with", "without", "none"), default="both")
    parser.add_argument("--peer", action="store_true", help="MNE's chain at this length")
    parser.add_argument("--archive", type=Path, help="of a phantom of seed 7, else written anew")
    parser.add_argument("--folder", type=Path, help="for temporary files")
    parser.add_argument("--repeats", type=int, default=3, help="after a warm-up; 0: one run, cold")
    parser.add_argument("--json", type=Path, default=JOB, metavar="FILE")
    given = parser.parse_args(arguments)
    names = {"both": (WITHOUT, WITH), "with": (WITH,), "without": (WITHOUT,), "none": ()}[given.aec]
    parameters = {
        "minutes": given.minutes, "n_channels": given.channels, "sfreq": 1000.0, "seed": 7,
    }  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="brainforge-job-", dir=given.folder) as place:
        folder = Path(place)
        archive = given.archive or folder / "phantom.zarr"
        if names and not archive.exists():
            write_phantom(archive, given.minutes, given.channels, 1000.0, 7)
        for name in names:
            row = measure(archive, folder, name, parameters, repeats=given.repeats)
            print_job(row, merge(given.json, [row], NAMES))
        if given.peer:
            print(f"MNE on {given.minutes:g} min ...", file=sys.stderr, flush=True)
            found = run_peer(folder, given.minutes, given.channels, 1000.0, 7)
            merge(given.json, [{"name": PEER, **parameters, **account(), **found}], NAMES)
            for row in load_rows(given.json):
                if row["name"] != PEER and row["minutes"] == given.minutes:
                    print_job(row, load_rows(given.json))
    print(given.json)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
