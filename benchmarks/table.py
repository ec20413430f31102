"""Rows as a table to read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.store import Row


def seconds(value: float | None) -> str:
    """Return seconds with three digits."""
    if value is None:
        return "–"
    return f"{value:.3g} s" if value < 100 else f"{value:.0f} s"


def figure(entry: dict[str, Any]) -> str:
    """Return one figure of accuracy as a line."""
    value = "undefined" if entry["value"] is None else f"{entry['value']:.2g}"
    if entry["bound"] is None:
        return f"{entry['text']}: {value}"
    sign = ">=" if entry["at_least"] else "<="
    mark = "" if entry["met"] else " NOT MET"
    return f"{entry['text']}: {value} (wanted {sign} {entry['bound']:g}){mark}"


def target(row: Row) -> str:
    """Return the target of a row and whether it is met."""
    wanted = row["target"]
    if wanted is None:
        return "–"
    met = {True: "met", False: "NOT met", None: "no peer"}[wanted["met"]]
    return f"{wanted['text']}: {met}"


def peer_seconds(row: Row) -> str:
    """Return the peer's seconds, marked where they are extrapolated."""
    peer = row["peer"]
    if peer["wall_s"] is None:
        return "not run"
    return seconds(peer["wall_s"]) + (" X" if peer["extrapolated"] else "")


def size(row: Row) -> str:
    """Return length and channels in words."""
    return f"{row['minutes']:g} min × {row['n_channels']}"


def print_rows(rows: Sequence[Row]) -> None:
    """Print rows with times, ratios, targets and accuracy."""
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if Console().is_terminal else 160)
    if rows:
        console.print(header(rows[-1]))
    table = Table(show_lines=True)
    for name in ("row", "peer", "ours, 2 threads", "1 thread", "ratio", "target", "accuracy"):
        table.add_column(name, justify="left" if name in ("row", "accuracy") else "right")
    for row in rows:
        ours, peer = row["ours"]["by_threads"], row["peer"]
        table.add_row(
            f"{row['title']}\n{size(row)}",
            peer_seconds(row) + (f"\n{peer['law']}" if peer["law"] else ""),
            _cell(ours.get("2")),
            _cell(ours.get("1")),
            "\n".join(f"{v:.3g}x ({t})" for t, v in row["ratio"].items()),
            target(row),
            "\n".join(figure(f) for f in row["accuracy"]),
        )
    console.print(table)


def header(account: dict[str, Any]) -> str:
    """Return machine, versions and threads as a paragraph."""
    machine, versions = account["machine"], account["versions"]
    known = ", ".join(f"{k} {v}" for k, v in versions.items())
    blas = ", ".join(f"{b['library']} {b['threads']} threads" for b in account["blas"])
    return (
        f"{account['date']}: {machine['processor']}, {machine['cores']} cores, "
        f"{machine['memory_gib']} GiB, {machine['system']}. {known}. Peers: n_jobs=1, BLAS as "
        f"installed ({blas or 'unknown'})."
    )


def _cell(timing: dict[str, Any] | None) -> str:
    if timing is None:
        return ""
    return f"{seconds(timing['wall_s'])}\ncpu {seconds(timing['cpu_s'])}"
