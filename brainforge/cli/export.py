"""``brainforge export``: an archive to the formats that other programs read."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from brainforge.cli.import_ import refuse_itself
from brainforge.cli.opening import open_file
from brainforge.cli.output import print_json
from brainforge.cli.progress import progress
from brainforge.cli.staging import staged
from brainforge.cli.state import Debug, Json, Overwrite, Quiet
from brainforge.errors import InputError


class Format(StrEnum):
    """What an archive can be exported to."""

    FIF = "fif"
    BIDS = "bids"


def export(
    context: typer.Context,
    archive: Annotated[Path, typer.Argument(help="Archive, or any recording that opens.")],
    to: Annotated[Format, typer.Option(help="Format to write.")],
    out: Annotated[Path, typer.Option(help="File (fif) or folder (bids) to write.")],
    subject: Annotated[
        str | None, typer.Option(help="Subject label, for BIDS; letters and digits.")
    ] = None,
    task: Annotated[str, typer.Option(help="Task label, for BIDS; letters and digits.")] = "rest",
    overwrite: Overwrite = False,
    json_: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Export a recording to FIF or BIDS."""
    _check(to, out, subject, task)
    recording = open_file(context, archive, subject=subject)
    refuse_itself(archive, out)
    with (
        staged(out.parent, [out.name], overwrite=overwrite) as aside,
        progress(quiet) as tell,
    ):
        tell(f"exporting to {to}", 0.0)
        if to is Format.FIF:
            from brainforge.export.fif import export_fif

            export_fif(recording, aside / out.name)
        else:
            from brainforge.export.bids import export_bids

            label = subject or recording.info.subject or "01"
            _check(to, out, label, task)
            export_bids(recording, aside / out.name, label, task)
        tell(f"exporting to {to}", 1.0)
    if json_:
        print_json({"format": to, "path": out})
    else:
        typer.echo(str(out))


def _check(to: Format, out: Path, subject: str | None, task: str) -> None:
    """Find mistakes in the options before anything is read."""
    if to is Format.FIF and not out.name.endswith((".fif", ".fif.gz")):
        raise InputError(where="--out", expected="a name ending in .fif", got=repr(out.name))
    if to is Format.BIDS:
        for option, label in (("--subject", subject), ("--task", task)):
            if label is not None and not label.isalnum():
                raise InputError(
                    where=option, expected="letters and digits, as BIDS wants", got=repr(label)
                )
