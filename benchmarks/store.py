"""The rows that have been measured, one line each in a JSON file; a new one replaces its like."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
PEERS, JOB, START, DEVICE = (RESULTS / f"{n}.json" for n in ("peers", "job", "start", "device"))
#: digits of a measured figure that are kept
DIGITS = 6
Row = dict[str, Any]


def key(row: Row) -> tuple[Any, ...]:
    """Return what makes two rows alike: name and size."""
    return row["name"], float(row["minutes"]), int(row["n_channels"])


def load_rows(path: Path) -> list[Row]:
    """Return the rows of a file, none where it is absent."""
    if not path.exists():
        return []
    return json.loads(path.read_text(encoding="utf-8"))["rows"]


def load(path: Path) -> dict[str, Any] | None:
    """Return a result that has no rows of sizes, None where it is absent."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def merge(
    path: Path,
    new: Iterable[Row],
    order: Iterable[str] = (),
    finish: Callable[[list[Row]], list[Row]] | None = None,
) -> list[Row]:
    """Write rows into a file over those of the same name and size; return all rows.

    Parameters
    ----------
    path : Path
    new : iterable of dict
    order : iterable of str
        Names in the order in which rows are written.
    finish : callable | None
        Gets all rows and gives them as they are written: what one row says of others may have
        come in another slice of the run.
    """
    rows = {key(row): row for row in load_rows(path)} | {key(row): rounded(row) for row in new}
    places = {name: i for i, name in enumerate(order)}
    ordered = sorted(rows.values(), key=lambda r: (places.get(r["name"], len(places)), key(r)))
    finished = finish(ordered) if finish else ordered
    save_rows(path, finished)
    return finished


def save_rows(path: Path, rows: list[Row]) -> None:
    """Write rows as JSON, one line each."""
    lines = ",\n".join(json.dumps(rounded(row), allow_nan=False) for row in rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(f'{{"format": 2, "rows": [\n{lines}\n]}}\n', encoding="utf-8")
    part.replace(path)


def is_fresh(row: Row | None, hours: float) -> bool:
    """Return whether a row was measured less than ``hours`` ago."""
    if row is None:
        return False
    return (datetime.now(UTC) - datetime.fromisoformat(row["date"])).total_seconds() < 3600 * hours


def rounded(value: Any) -> Any:
    """Return JSON-ready data with floats of `DIGITS` digits."""
    if isinstance(value, bool) or not isinstance(value, float | dict | list | tuple):
        return value
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, dict):
        return {k: rounded(v) for k, v in value.items()}
    return [rounded(v) for v in value]
