"""How live figures are written: verdicts, machine, commands, what was not measured."""

from __future__ import annotations

from typing import Any

NOT_YET = "not measured yet"


def verdict(met: bool) -> str:
    """Return whether a target is met, in words."""
    return "met" if met else "NOT met"


def ms(figures: dict[str, float]) -> str:
    """Return p50 and p99 in milliseconds."""
    return f"{figures['p50_ms']:.3g} / {figures['p99_ms']:.3g} ms"


def megabytes(first: float, last: float) -> str:
    """Return memory at the beginning and at the end."""
    return f"{first / 1e6:.0f} → {last / 1e6:.0f} MB"


def where(result: dict[str, Any], command: str, *packages: str) -> str:
    """Return command, date, machine, versions that matter, and how busy it was before."""
    load, free, machine = result["load_average"], result["free_cores"], result["machine"]
    before = load[0] if isinstance(load, list) else load
    cores = min(free) if isinstance(free, list) else free
    known = ", ".join(
        f"{name} {result['versions'][name]}"
        for name in ("python", "numpy", "numba", *packages)
        if name in result["versions"]
    )
    return (
        f"`python -m benchmarks.{command}`, {result['date'][:16]}: {machine['processor']}, "
        f"{machine['cores']} cores, {machine['memory_gib']} GiB; {known}. Before it the load "
        f"average was {before:.1f}, with {cores:.1f} cores free."
    )


def missing(title: str, command: str) -> list[str]:
    """Return what stands in the place of figures that are not there."""
    return [f"### {title}", "", f"{NOT_YET.capitalize()}: `python -m benchmarks.{command}`.", ""]


def table(columns: list[str], rows: list[list[str]]) -> list[str]:
    """Return lines of a Markdown table; the first column is text, the others are figures."""
    lines = [f"| {' | '.join(columns)} |", f"|---|{'---:|' * (len(columns) - 1)}"]
    return lines + [f"| {' | '.join(row)} |" for row in rows]
