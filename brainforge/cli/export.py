"""``brainforge export``: an archive to the formats that other programs read."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from brainforge.cli.import_ import refuse_itself
from brainforge.cli.opening import LineFreq, open_file
from brainforge.cli.output import print_json
from brainforge.cli.progress import progress
from brainforge.cli.state import Debug, Json, Overwrite, Quiet
from brainforge.errors import InputError
from brainforge.recording import Recording
from brainforge.staging import restored_on_failure, staged


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
    line_freq: LineFreq = None,
    overwrite: Overwrite = False,
    json_: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Export a recording to a FIF file, or add it to a BIDS data set."""
    _check(to, out, subject, task)
    recording = open_file(context, archive, line_freq=line_freq, subject=subject)
    refuse_itself(archive, out)
    if to is Format.BIDS and out.is_dir():
        written = _add_to_data_set(recording, out, subject, task, overwrite, quiet)
    else:
        written = _write_new(recording, out, to, subject, task, overwrite, quiet)
    if json_:
        print_json({"format": to, "path": written})
    else:
        typer.echo(str(written))


def _write_new(
    recording: Recording,
    out: Path,
    to: Format,
    subject: str | None,
    task: str,
    overwrite: bool,
    quiet: bool,
) -> Path:
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

            export_bids(recording, aside / out.name, _label(recording, subject), task)
        tell(f"exporting to {to}", 1.0)
    return out


def _add_to_data_set(
    recording: Recording, out: Path, subject: str | None, task: str, overwrite: bool, quiet: bool
) -> Path:
    """Add a recording to a BIDS data set that others may be in already."""
    from brainforge.export.bids import export_bids

    if overwrite:
        raise InputError(
            where="--overwrite",
            expected="a BIDS data set only to be added to",
            got=str(out),
            fix="remove the recording from it first, or choose another --out",
        )
    with restored_on_failure(out), progress(quiet) as tell:
        tell(f"exporting to {Format.BIDS}", 0.0)
        export_bids(recording, out, _label(recording, subject), task)
        tell(f"exporting to {Format.BIDS}", 1.0)
    return out


def _label(recording: Recording, subject: str | None) -> str:
    """Return the subject's BIDS label: as asked for, else what the recording says, else 01."""
    kept = "".join(c for c in recording.info.subject or "" if c.isalnum())
    return subject or kept or "01"


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
