"""Results on standard output: strict JSON for machines, tables for people."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any

import numpy as np
import typer

if TYPE_CHECKING:
    from rich.table import Table


def jsonable(value: Any) -> Any:
    """Return ``value`` with plain types only; numbers that are not finite become None."""
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, np.generic):
        return jsonable(value.item())
    if isinstance(value, np.ndarray):
        return jsonable(value.tolist())
    if isinstance(value, PathLike):
        return fspath(value)
    if isinstance(value, Mapping):
        return {str(k): jsonable(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [jsonable(v) for v in value]
    if is_dataclass(value) and not isinstance(value, type):
        return jsonable(asdict(value))
    raise TypeError(f"no JSON form for {type(value).__name__}")


def to_json(payload: Mapping[str, Any]) -> str:
    """Return one JSON object that any strict reader takes (ASCII, no NaN)."""
    return json.dumps(jsonable(payload), allow_nan=False, indent=2)


def print_json(payload: Mapping[str, Any]) -> None:
    """Print one JSON object on standard output."""
    typer.echo(to_json(payload))


def table(title: str, *columns: str, right: tuple[str, ...] = ()) -> Table:
    """Return an empty table in the house's look; ``right`` names right-aligned columns."""
    from rich import box
    from rich.table import Table

    made = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left")
    return made


def show(*parts: Any) -> None:
    """Print tables and lines on standard output, plain where it is no terminal."""
    from rich.console import Console

    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        # a pipe or a file has no width to fit into
        console = Console(highlight=False, markup=False, width=120)
    # captured, because on a closed pipe a console ends the process without a word
    with console.capture() as captured:
        for part in parts:
            console.print(part, soft_wrap=isinstance(part, str))
    typer.echo(captured.get(), nl=False)
