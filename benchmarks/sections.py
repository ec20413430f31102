"""The whole job, the first start and the GPU as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks import job, start
from benchmarks.store import Row
from benchmarks.table import header, seconds


def job_section(rows: Sequence[Row]) -> str:
    """Return the whole job, one table for each run of the product."""
    runs = [row for row in rows if row["name"] != job.PEER]
    if not runs:
        return ""
    parts = [
        "## The whole job",
        "",
        "`brainforge process` in a fresh process, warm: a phantom from its archive to findings, "
        "report and connectivity. MNE does the same stages with `n_jobs=1` in a process of its "
        "own; of its AEC three epochs of one band are run and the rest is counted (X).",
    ]
    for row in runs:
        parts += ["", *_job(row, rows)]
    for row in rows:
        if row["name"] == job.PEER:
            parts.append(
                f"- MNE's chain on {row['minutes']:g} min × {row['n_channels']}: "
                f"{seconds(sum(row['seconds'].values()))}, {row['peak_rss_bytes'] / 1e9:.2f} GB."
            )
    return "\n".join(parts)


def _job(row: Row, rows: Sequence[Row]) -> list[str]:
    run = row["run"]
    peer = job.peer_at(rows, row["minutes"], row["n_channels"])
    mark = " X" * job.counted(row, rows)
    lines = [
        f"### {row['minutes']:g} min, {row['n_channels']} channels, {row['name']}",
        "",
        header(row),
        "",
        "| stage | Brain-Forge | MNE | ratio |",
        "|---|---:|---:|---:|",
    ]
    for label, ours, theirs in job.stages(row, rows):
        ratio = f"{theirs / ours:.3g}×" if theirs is not None and ours > 0.01 else "–"
        peers = "–" if theirs is None else f"{seconds(theirs)}{mark}"
        lines.append(f"| {label} | {seconds(ours)} | {peers} | {ratio} |")
    lines.append("")
    for text, reached, met in job.verdicts(row, rows):
        lines.append(f"- Wanted: {text}; reached: {reached} ({'met' if met else 'NOT met'}).")
    before, after = run["load_average"]
    walls = ", ".join(seconds(w) for w in row["walls_s"])
    found = run["found"]
    lines += [
        f"- Whole process, interpreter's start included: {walls}; {seconds(run['cpu_s'])} of CPU. "
        f"Load average {before:.1f} to {after:.1f}, {min(run['free_cores']):.1f} cores free."
        + (f" MNE: {peer['extrapolated']}." if peer and peer["extrapolated"] else ""),
        f"- Found: bad channels {', '.join(found['bad_channels']) or 'none'}; "
        f"{found['heartbeats']} heartbeats, {found['blinks']} blinks; components removed: "
        f"{', '.join(found['removed']) or 'none'}.",
    ]
    return lines


def start_section(result: dict[str, Any]) -> str:
    """Return what the first start costs."""
    found = result["median_wall_s"]
    before, after = result["load_average"]
    lines = [
        "## The first start",
        "",
        "`brainforge process` on the bundled recording (24 s, 376 channels), from the start of "
        "the process to the report. Cold: no kernel is compiled yet; Python's bytecode is there, "
        f"as an installation leaves it. {header(result)}",
        "",
        "| start | reached | wanted at most | |",
        "|---|---:|---:|---|",
    ]
    for name, reached, most, met in start.verdicts(result):
        lines.append(
            f"| {name} | {seconds(reached)} | {most:g} s | {'met' if met else 'NOT met'} |"
        )
    lines.append(f"| neither kernels nor bytecode | {seconds(found['neither'])} | – | |")
    slow = [
        f"{name.removeprefix('brainforge.kernels.')} {seconds(spent)}"
        for name, spent in list(result["compiled"].items())[:8]
    ]
    total = seconds(sum(result["compiled"].values()))
    lines += [
        "",
        f"Compilation takes {total} in {len(result['compiled'])} kernels, most in "
        f"{', '.join(slow)}. Load average {before:.1f} to {after:.1f}.",
    ]
    return "\n".join(lines)


def device_section(result: dict[str, Any]) -> str:
    """Return the GPU's rows; those that have not run on hardware say so."""
    lines = [
        "## On a GPU",
        "",
        "Measured by `python -m benchmarks.device` with events of the device, warm, median of "
        "many; context, compilation and planning of FFTs counted separately. Twins are proved "
        "equal to their references on a fake device and in an emulator of the CUDA source, "
        "which says nothing of their speed.",
        "",
        "| row | wanted on an H200 | reached | on | accuracy |",
        "|---|---:|---:|---|---|",
    ]
    for row in result["rows"]:
        wanted = "–" if row["target_s"] is None else f"{1e3 * row['target_s']:g} ms"
        lines.append(f"| {row['title']} | {wanted} | {_reached(row)} |")
    return "\n".join(lines)


def _reached(row: dict[str, Any]) -> str:
    if row["wall_s"] is None:
        return f"{row['status']} | – | –"
    error = "–" if row["error"] is None else f"{row['error']:.2g} relative to the CPU's"
    where = f"{row['device']}, {row['date'][:10]}"
    return f"{1e3 * row['wall_s']:.3g} ms (CPU {seconds(row['cpu_s'])}) | {where} | {error}"
