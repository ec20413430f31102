"""The whole job: 306 channels, 1 kHz, 30 minutes, from archive to report, warm.

``python -m benchmarks.job [--minutes 30] [--archive PATH] [--folder FOLDER] [--json FILE]``.
The phantom's archive is written first where it is absent. ``brainforge process`` runs in a fresh
process, once to warm the caches and then for the record; MNE does the same stages on a shorter
piece, extrapolated in proportion to its length.
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
from benchmarks.table import RESULTS, header, save, seconds

#: what 30 minutes on two cores should need at most
TARGET_S, TARGET_BYTES = 20.0, 2.5e9
#: the product's stages, and the peer's that belong to them
STAGES = {
    "ingest_s": ("read (waiting)", ("ingest_s",)),
    "preprocess_s": ("quality, muscle, FIR, spectra, bad channels, HFC, repair", ("preprocess_s",)),
    "artifacts_s": ("ICA, heart and eyes", ("artifacts_s",)),
    "connectivity_s": ("connectivity, AEC, graph", ("connectivity_s", "aec_s")),
    "findings_s": ("findings", ()),
    "report_s": ("report", ("report_s",)),
}


def run_process(archive: Path, out: Path, threads: int = 0) -> dict[str, Any]:
    """Run ``brainforge process`` in a fresh process; return its JSON, seconds and memory."""
    command = [
        sys.executable, "-m", "brainforge", "process", str(archive), "--out", str(out),
        "--json", "--quiet", "--overwrite", "--threads", str(threads),
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
        "payload": {
            "bad_channels": payload["bad_channels"],
            "artifacts": payload["artifacts"],
            "components": payload["components"],
            "warnings": payload["warnings"],
        },
    }


def run_peer(folder: Path, minutes: float, channels: int, sfreq: float, seed: int) -> Any:
    """Run MNE's chain on a piece in a fresh process, warm; return seconds and memory."""
    with tempfile.TemporaryDirectory(prefix="piece-", dir=folder) as place:
        fif = Material(minutes, Path(place), channels, sfreq, seed).fif
        command = [sys.executable, "-m", "benchmarks.mne_chain", str(fif)]
        root = Path(__file__).resolve().parent.parent
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True, cwd=root)
    return json.loads(done.stdout.splitlines()[-1])


def write_phantom(path: Path, minutes: float, channels: int, sfreq: float, seed: int) -> None:
    """Write the phantom's archive and its ground truth."""
    from brainforge.archive import import_recording
    from brainforge.datasets import Phantom
    from brainforge.datasets.phantom import write_truth

    phantom = Phantom(n_channels=channels, sfreq=sfreq, duration=60 * minutes, seed=seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    import_recording(phantom.recording(), path)
    write_truth(path.with_suffix(".truth.json"), phantom.truth())


def measure(
    archive: Path,
    folder: Path,
    *,
    minutes: float = 30.0,
    channels: int = 306,
    sfreq: float = 1000.0,
    seed: int = 7,
    repeats: int = 3,
    piece: float = 2.0,
) -> dict[str, Any]:
    """Run the job and the peer; return account, parameters and figures, JSON-ready."""
    if not archive.exists():
        print(f"writing {archive} ...", file=sys.stderr, flush=True)
        write_phantom(archive, minutes, channels, sfreq, seed)
    result = account()
    result["parameters"] = {
        "minutes": minutes, "n_channels": channels, "sfreq": sfreq, "seed": seed,
        "repeats": repeats, "piece_minutes": piece, "threads": result["machine"]["cores"],
    }  # fmt: skip
    out = folder / "job"
    print("warming up ...", file=sys.stderr, flush=True)
    run_process(archive, out)
    runs = [run_process(archive, out) for _ in range(repeats)]
    runs.sort(key=lambda r: r["wall_s"])
    result["run"] = runs[len(runs) // 2]
    result["walls_s"] = [r["wall_s"] for r in runs]
    result["median_wall_s"] = median(result["walls_s"])
    if piece > 0:
        print(f"MNE on {piece:g} min ...", file=sys.stderr, flush=True)
        result["peer"] = run_peer(folder, piece, channels, sfreq, seed)
    return result


def rows(result: dict[str, Any]) -> list[tuple[str, float, float | None]]:
    """Return (stage, product's seconds, peer's extrapolated seconds), the total last."""
    timings, peer = result["run"]["timings"], result.get("peer")
    factor = 60 * result["parameters"]["minutes"] / peer["duration_s"] if peer else 0.0
    out: list[tuple[str, float, float | None]] = []
    total, named = 0.0, 0.0
    for key, (label, theirs) in STAGES.items():
        spent = None
        if peer and theirs:
            # a report's length does not grow with the recording
            scale = 1.0 if key == "report_s" else factor
            spent = scale * sum(peer["seconds"].get(name, 0.0) for name in theirs)
            total += spent
        named += timings.get(key, 0.0)
        out.append((label, timings.get(key, 0.0), spent))
    out.append(("imports and outputs", timings["total_s"] - named, None))
    out.append(("total", timings["total_s"], total if peer else None))
    return out


def print_job(result: dict[str, Any]) -> None:
    """Print the stages, the totals and the memory beside the targets."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    console.print(header(result))
    p, run = result["parameters"], result["run"]
    title = f"{p['minutes']:g} min, {p['n_channels']} channels, {p['sfreq']:g} Hz"
    table = Table(title=title)
    for name in ("stage", "Brain-Forge", f"MNE, X from {p['piece_minutes']:g} min", "ratio"):
        table.add_column(name, justify="left" if name == "stage" else "right")
    for label, ours, theirs in rows(result):
        ratio = f"{theirs / ours:.3g}x" if theirs is not None and ours > 0.01 else ""
        table.add_row(label, seconds(ours), "" if theirs is None else seconds(theirs), ratio)
    console.print(table)
    console.print(
        f"whole process {seconds(run['wall_s'])} wall (runs: "
        f"{', '.join(seconds(w) for w in result['walls_s'])}), {seconds(run['cpu_s'])} CPU; "
        f"wanted at most {TARGET_S:g} s for 30 min on two cores"
    )
    console.print(
        f"peak memory {run['peak_rss_bytes'] / 1e9:.2f} GB; wanted at most "
        f"{TARGET_BYTES / 1e9:g} GB"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.job", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0, help="of phantom")
    parser.add_argument("--archive", type=Path, help="of the phantom; written where absent")
    parser.add_argument("--folder", type=Path, help="for temporary files and the archive")
    parser.add_argument("--channels", type=int, default=306)
    parser.add_argument("--repeats", type=int, default=3, help="after the warm-up")
    parser.add_argument("--piece", type=float, default=2.0, help="minutes MNE gets; 0: none")
    parser.add_argument("--json", type=Path, default=RESULTS / "job.json", metavar="FILE")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="brainforge-job-", dir=given.folder) as place:
        folder = given.folder or Path(place)
        archive = given.archive or folder / f"phantom_{given.minutes:g}min.zarr"
        result = measure(
            archive, folder, minutes=given.minutes, channels=given.channels,
            repeats=given.repeats, piece=given.piece,
        )  # fmt: skip
    print_job(result)
    save(result, given.json)
    print(given.json)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
