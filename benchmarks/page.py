"""Write docs/performance.md from the results: ``python -m benchmarks.page [--check]``.

Between its markers the page holds nothing that was typed by hand; ``--check`` says whether it is
what the results give (exit code 1 where not).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import job
from benchmarks.table import RESULTS, figure, header, seconds

PAGE = Path(__file__).resolve().parent.parent / "docs" / "performance.md"

INTRODUCTION = """# Performance

Written by `python -m benchmarks.page` from the results in `benchmarks/results/`; `make bench`
measures anew and writes this page. Times are medians after a warm-up, both sides in turn in one
process, on the same data. X marks what is extrapolated. A ratio without its accuracy does not
count, so both stand in one row; a bound that is not kept says so.
"""


def stage_table(result: dict[str, Any]) -> str:
    """Return the stages as a Markdown table, with what was called below."""
    p = result["parameters"]
    lines = [
        "## Stages beside their peers",
        "",
        f"Phantom of {p['minutes']:g} min, {p['n_channels']} channels, {p['sfreq']:g} Hz, seed "
        f"{p['seed']}, without dead channel and gaps; {p['repeats']} repeats. {header(result)}",
        "",
        "| stage | peer | 2 threads | 1 thread | ratio, 2 / 1 threads | accuracy |",
        "|---|---:|---:|---:|---:|---|",
    ]
    for row in result["stages"]:
        ours, ratio = row["ours"]["by_threads"], row["ratio"]
        cells = [
            row["title"],
            seconds(row["peer"]["wall_s"]) + (" X" if row["peer"]["extrapolated"] else ""),
            *(seconds(ours[t]["wall_s"]) if t in ours else "–" for t in ("2", "1")),
            " / ".join(f"{ratio[t]:.3g}×" if t in ratio else "–" for t in ("2", "1")),
            "<br>".join(figure(f) for f in row["accuracy"]),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(
        [*lines, "", "What was called, on what, and CPU seconds:", "", *_calls(result)]
    )


def _calls(result: dict[str, Any]) -> list[str]:
    out = []
    for row in result["stages"]:
        peer, ours = row["peer"], row["ours"]["by_threads"]
        used = ", ".join(f"{seconds(t['cpu_s'])} on {n}" for n, t in ours.items())
        ran = "; ".join(
            f"{seconds(m['cpu_s'])} CPU"
            + (f" for {m['units']} {peer['unit']}" * bool(peer["unit"]))
            for m in peer["measured"]
        )
        notes = " ".join(row["notes"])
        before, after = row["load_average"]
        free = min(row["free_cores"])
        out.append(
            f"- {row['title']} ({row['amount']}): {peer['label']} ({ran}) against "
            f"{row['ours']['label']} ({used} threads). {notes}{' ' * bool(notes)}Load average "
            f"{before:.1f} to {after:.1f}, {free:.1f} cores free."
        )
    return out


def job_table(result: dict[str, Any]) -> str:
    """Return the whole job as a Markdown table."""
    p, run = result["parameters"], result["run"]
    lines = [
        "## The whole job",
        "",
        f"`brainforge process` in a fresh process, warm, {p['threads']} threads: phantom of "
        f"{p['minutes']:g} min, {p['n_channels']} channels, {p['sfreq']:g} Hz from its archive to "
        f"findings, report and connectivity. MNE does the same stages with `n_jobs=1` on a "
        f"phantom of {p['piece_minutes']:g} min in a process of its own; its figures are in "
        f"proportion to the length (X), the report's as measured. {header(result)}",
        "",
        "| stage | Brain-Forge | MNE | ratio |",
        "|---|---:|---:|---:|",
    ]
    for label, ours, theirs in job.rows(result):
        ratio = f"{theirs / ours:.3g}×" if theirs is not None and ours > 0.01 else "–"
        peers = "–" if theirs is None else f"{seconds(theirs)} X"
        lines.append(f"| {label} | {seconds(ours)} | {peers} | {ratio} |")
    lines += ["", *_totals(result)]
    found = run["payload"]
    bads = ", ".join(f"{b['name']} {b['reason']}" for b in found["bad_channels"]) or "none"
    removed = ", ".join(c["kind"] for c in found["components"]["removed"]) or "none"
    lines.append(
        f"- Found: bad channels {bads}; {found['artifacts']['ecg']['n_events']} heartbeats, "
        f"{found['artifacts']['eog']['n_events']} blinks; components removed: {removed}."
    )
    return "\n".join(lines)


def _totals(result: dict[str, Any]) -> list[str]:
    run = result["run"]
    runs = ", ".join(seconds(w) for w in result["walls_s"])
    before, after = run["load_average"]
    lines = [
        f"- Whole process, interpreter's start included: {seconds(run['wall_s'])} (runs: {runs}), "
        f"{seconds(run['cpu_s'])} of CPU. Wanted: at most {job.TARGET_S:g} s for 30 min on two "
        "cores.",
        f"- Peak memory: {run['peak_rss_bytes'] / 1e9:.2f} GB. Wanted: at most "
        f"{job.TARGET_BYTES / 1e9:g} GB.",
        f"- Load average {before:.1f} to {after:.1f}, {min(run['free_cores']):.1f} cores free.",
    ]
    if peer := result.get("peer"):
        lines.append(
            f"- MNE's process held {peer['peak_rss_bytes'] / 1e9:.2f} GB for "
            f"{peer['duration_s'] / 60:.3g} min."
        )
    return lines


def page(folder: Path = RESULTS) -> str:
    """Return the page for the results of a folder; what was not measured is left out."""
    parts = [INTRODUCTION]
    for name, table in (("peers", stage_table), ("job", job_table)):
        path = folder / f"{name}.json"
        if path.exists():
            parts.append(table(json.loads(path.read_text(encoding="utf-8"))) + "\n")
    return "\n".join(parts)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.page", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing")
    given = parser.parse_args(arguments)
    text = page()
    if given.check:
        same = PAGE.exists() and PAGE.read_text(encoding="utf-8") == text
        print(f"{PAGE.name} is {'what the results give' if same else 'out of date'}")
        return 0 if same else 1
    PAGE.write_text(text, encoding="utf-8")
    print(PAGE)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
