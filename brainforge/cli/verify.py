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
    """Account for every sample of an archive and compare all of it with its checksums.

    Exit code 0: whole; 2: damaged or no archive; 3: whole so far, but being recorded or
    interrupted.
    """
    found = look(archive)
    if json_:
        print_json(found)
    else:
        show(*lines(found))
    if not found["ok"]:
        raise typer.Exit(ExitCode.INPUT)
    if found["state"] != "finished":
        raise typer.Exit(ExitCode.PART)


def look(archive: Path) -> dict[str, Any]:
    """Return the account of an archive, finished or not."""
    from brainforge.archive.live_folder import State, state_of

    if state_of(archive) is State.FINISHED:
        from brainforge.archive.verify import verify_archive

        return verify_archive(archive)
    from brainforge.acquisition.recorder.repair import inspect

    return inspect(archive)


def lines(found: dict[str, Any]) -> Iterator[Any]:
    """Yield the account of samples and, where something is wrong, what and where."""
    gaps = found["gaps"]
    lost = sum(gap["stop"] - gap["start"] for gap in gaps)
    state = "whole" if found["ok"] else "damaged"
    sha256 = f"; sha256 {found['sha256']}" if found.get("sha256") else ""
    yield (
        f"{found['path']}: {state}{_state(found)}; {found['n_channels']} channels, "
        f"{found['received']} samples received, {found['stored']} stored, "
        f"{lost} lost in {len(gaps)} gaps{_exact(found)}{sha256}"
    )
    if gaps:
        made = table("Gaps", "first sample", "samples", "cause", right=("first sample", "samples"))
        for gap in gaps[:20]:
            made.add_row(str(gap["start"]), str(gap["stop"] - gap["start"]), gap["cause"])
        yield made
        if len(gaps) > 20:
            yield f"and {len(gaps) - 20} gaps more; --json lists them all"
    if found["problems"]:
        made = table("Problems", "file", "problem")
        for problem in found["problems"]:
            made.add_row(problem["file"], problem["problem"])
        yield made
    for start, stop in found["damaged"]:
        yield f"samples {start} to {stop - 1} cannot be believed"


def _state(found: dict[str, Any]) -> str:
    if found["state"] == "recording":
        from brainforge.archive.live_folder import how_to_end

        owner = found["holder"]
        return f" so far, being recorded by process {owner['pid']} ({how_to_end(owner)})"
    if found["state"] == "interrupted":
        return f" so far, interrupted (finish it with: brainforge repair {found['path']})"
    return ""


def _exact(found: dict[str, Any]) -> str:
    if found["exact"] is None:
        return ""
    return " (exact, by counter)" if found["exact"] else " (estimated from time stamps)"
