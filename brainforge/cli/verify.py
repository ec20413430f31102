"""``brainforge verify``: whether every sample of an archive is there as it was written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from brainforge.cli.output import print_json, show, table
from brainforge.cli.state import Debug, ExitCode, Json


def verify(
    archive: Annotated[Path, typer.Argument(help="Archive, NAME.zarr.")],
    json_: Json = False,
    debug: Debug = False,
) -> None:
    """Check an archive against its checksums. Exit code 0: whole; 2: damaged or no archive."""
    from brainforge.archive import verify_archive

    found = verify_archive(archive)
    if json_:
        print_json(found)
    else:
        show(*_lines(found))
    if not found["ok"]:
        raise typer.Exit(ExitCode.INPUT)


def _lines(found: dict[str, Any]) -> Iterator[Any]:
    """Yield the account of samples and, where something is wrong, what and where."""
    lost = sum(gap["stop"] - gap["start"] for gap in found["gaps"])
    state = "whole" if found["ok"] else "damaged"
    yield (
        f"{found['path']}: {state}; {found['n_channels']} channels, "
        f"{found['received']} samples received, {found['stored']} stored, "
        f"{lost} lost in {len(found['gaps'])} gaps; sha256 {found['sha256']}"
    )
    if found["problems"]:
        made = table("Problems", "file", "problem")
        for problem in found["problems"]:
            made.add_row(problem["file"], problem["problem"])
        yield made
    for start, stop in found["damaged"]:
        yield f"samples {start} to {stop - 1} cannot be believed"
