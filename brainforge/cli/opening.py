"""Opening a recording with the options for what its file lacks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from brainforge.cli.state import state_of
from brainforge.config import parse_line_freq
from brainforge.recording import Recording

Sensors = Annotated[
    Path | None,
    typer.Option(
        help="TSV with name, kind, unit, calibration, x y z, ox oy oz (metres, head frame).",
        metavar="TSV",
    ),
]
LineFreq = Annotated[str | None, typer.Option(help="Mains frequency.", metavar="50|60|auto")]
Subject = Annotated[str | None, typer.Option(help="Pseudonym of the subject.")]
Bads = Annotated[
    str | None, typer.Option(help="Channels to leave out, separated by commas.", metavar="A,B")
]


def open_file(
    context: typer.Context,
    file: Path,
    sensors: Path | None = None,
    line_freq: str | None = None,
    subject: str | None = None,
    bads: str | None = None,
) -> Recording:
    """Open a recording as the options and the settings say; ReadError where it cannot be."""
    from brainforge.readers import open_recording

    hz = state_of(context).settings.line_freq
    if line_freq is not None:
        hz = parse_line_freq(line_freq, "--line-freq")
    names = tuple(name.strip() for name in (bads or "").split(",") if name.strip())
    return open_recording(file, sensors=sensors, line_freq=hz, subject=subject, bads=names)


def is_archive(recording: Recording) -> bool:
    """Whether a recording was opened from the product's own archive."""
    return recording.source.get("format") == "brainforge archive"


def recording_name(file: Path) -> str:
    """Return what the outputs of a recording are named after: its file without endings."""
    name = file.resolve().name.removesuffix(".gz").removesuffix(".zip")
    return Path(name).stem.lstrip(".") or "recording"
