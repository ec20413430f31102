"""Results on standard output: strict JSON for machines, tables for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import typer

from brainforge.strict_json import to_json

if TYPE_CHECKING:
    from rich.table import Table


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
