"""Rows as a table to read, and as a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def seconds(value: float) -> str:
    """Return seconds with three digits."""
    return f"{value:.3g} s" if value < 100 else f"{value:.0f} s"


def figure(entry: dict[str, Any]) -> str:
    """Return one figure of accuracy as a line."""
    value = "undefined" if entry["value"] is None else f"{entry['value']:.2g}"
    if entry["bound"] is None:
        return f"{entry['text']}: {value}"
    sign = ">=" if entry["at_least"] else "<="
    mark = "" if entry["met"] else " NOT MET"
    return f"{entry['text']}: {value} (wanted {sign} {entry['bound']:g}){mark}"


def print_rows(result: dict[str, Any]) -> None:
    """Print the stages with times, ratios and accuracy."""
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if Console().is_terminal else 160)
    console.print(header(result))
    table = Table(show_lines=True)
    for name in ("stage", "peer", "ours, 2 threads", "1 thread", "ratio", "accuracy"):
        table.add_column(name, justify="left" if name in ("stage", "accuracy") else "right")
    for row in result["stages"]:
        ours = row["ours"]["by_threads"]
        table.add_row(
            f"{row['title']}\n{row['amount']}",
            peer_seconds(row),
            _cell(ours.get("2")),
            _cell(ours.get("1")),
            "\n".join(f"{v:.3g}x ({t})" for t, v in row["ratio"].items()),
            "\n".join(figure(f) for f in row["accuracy"]),
        )
    console.print(table)


def header(result: dict[str, Any]) -> str:
    """Return machine, versions and threads as a paragraph."""
    machine, versions = result["machine"], result["versions"]
    known = ", ".join(f"{k} {v}" for k, v in versions.items())
    blas = ", ".join(f"{b['library']} {b['threads']} threads" for b in result["blas"])
    return (
        f"{result['date']}: {machine['processor']}, {machine['cores']} cores, "
        f"{machine['memory_gib']} GiB, {machine['system']}. {known}. Peers: n_jobs=1, BLAS as "
        f"installed ({blas or 'unknown'}). Load average {result['load_average']:.1f} at the start, "
        f"{result['free_cores']:.1f} cores free."
    )


def peer_seconds(row: dict[str, Any]) -> str:
    """Return the peer's seconds, marked where they are extrapolated."""
    peer = row["peer"]
    text = seconds(peer["wall_s"])
    if not peer["extrapolated"]:
        return f"{text}\ncpu {seconds(peer['measured'][-1]['cpu_s'])}"
    of = " and ".join(f"{m['units']} ({seconds(m['wall_s'])})" for m in peer["measured"])
    return f"{text} X\nfrom {of}\nof {peer['units']} {peer['unit']}"


def _cell(timing: dict[str, Any] | None) -> str:
    if timing is None:
        return ""
    return f"{seconds(timing['wall_s'])}\ncpu {seconds(timing['cpu_s'])}"


def save(result: dict[str, Any], path: Path) -> None:
    """Write a result as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1, allow_nan=False) + "\n", encoding="utf-8")
