"""``brainforge info``: what a recording holds, without processing it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from brainforge.cli.opening import LineFreq, Sensors, open_file
from brainforge.cli.output import print_json, show, table
from brainforge.cli.state import Debug, Json
from brainforge.recording import Recording
from brainforge.units import MEG_KINDS


def info(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="Recording: an archive or a vendor's format.")],
    sensors: Sensors = None,
    line_freq: LineFreq = None,
    json_: Json = False,
    debug: Debug = False,
) -> None:
    """Say what a recording holds: channels, rate, length, gaps, events, geometry."""
    facts = describe(open_file(context, file, sensors, line_freq))
    if json_:
        print_json(facts)
        return
    source = facts.pop("source")
    made = table(str(file), "", "")
    made.show_header = False
    for name, value in facts.items():
        made.add_row(name.replace("_", " "), _words(value))
    for name in ("format", "sha256", "notes"):
        made.add_row(name, _words(source.get(name)))
    show(made)


def describe(recording: Recording) -> dict[str, Any]:
    """Return what is known about a recording, JSON-ready."""
    about = recording.info
    meg = about.names_of(*MEG_KINDS)
    return {
        "device": about.device or None,
        "n_channels": about.n_channels,
        "kinds": dict(Counter(channel.kind for channel in about.channels)),
        "meg_with_position": sum(about.channel(name).position is not None for name in meg),
        "sfreq": about.sfreq,
        "duration_s": recording.duration,
        "n_samples": recording.n_samples,
        "first_sample": recording.start,
        "gaps": [
            {"start": gap.start, "stop": gap.stop, "cause": gap.cause} for gap in recording.gaps
        ],
        "n_events": len(recording.events),
        "annotations": dict(Counter(note.label for note in recording.annotations)),
        "line_freq": about.line_freq,
        "bads": list(about.bads),
        "projectors": [projector.description for projector in about.projs],
        "subject": about.subject,
        "measured": about.meas_date,
        "source": recording.source,
    }


def _words(value: Any) -> str:
    """Return a value as a person writes it."""
    if value is None or value in ((), [], {}):
        return "–"
    if isinstance(value, dict):
        return ", ".join(f"{name} {_words(each)}" for name, each in value.items())
    if isinstance(value, list):
        shown = "; ".join(_words(each) for each in value[:6])
        return f"{shown}; and {len(value) - 6} more" if len(value) > 6 else shown
    return f"{value:g}" if isinstance(value, float) else str(value)
