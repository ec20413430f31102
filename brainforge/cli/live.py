"""``brainforge live``: record and watch a stream, and have its findings when it stops."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from brainforge.cli.opening import Bads, LineFreq, Sensors, Subject
from brainforge.cli.output import print_json, show, table
from brainforge.cli.state import Debug, Json, Quiet, state_of
from brainforge.config import Settings, parse_line_freq, parse_threads
from brainforge.errors import InputError

if TYPE_CHECKING:
    from brainforge.session.spec import SessionSpec

Source = Annotated[
    str | None,
    typer.Option(
        help="lsl:NAME, fieldtrip:HOST:PORT, tcp:HOST:PORT, unix:PATH, replay:PATH or phantom.",
        metavar="SOURCE",
    ),
]
Duration = Annotated[
    float | None, typer.Option(help="Seconds of signal to record; until Ctrl-C if left out.")
]
Out = Annotated[
    Path | None, typer.Option(help="Archive to record to, NAME.zarr; it must not exist.")
]
Counter = Annotated[
    str | None, typer.Option(help="Channel in which the device counts its samples.")
]
Options = Annotated[
    list[str] | None,
    typer.Option("--option", help="Option of the source, e.g. speed=max; may be repeated."),
]


def live(
    context: typer.Context,
    source: Source = None,
    list_: Annotated[
        bool, typer.Option("--list", help="List the streams that can be found, and exit.")
    ] = False,
    duration: Duration = None,
    out: Out = None,
    recipe: Annotated[
        str | None, typer.Option(help="Recipe: a name (see `recipes`) or a TOML file.")
    ] = None,
    counter_channel: Counter = None,
    option: Options = None,
    sensors: Sensors = None,
    line_freq: LineFreq = None,
    subject: Subject = None,
    bads: Bads = None,
    outlets: Annotated[
        str, typer.Option(help="Prefix of LSL outlets for cleaned signals, features, markers.")
    ] = "",
    threads: Annotated[int | None, typer.Option(help="Threads to use; 0 for all cores.")] = None,
    record_only: Annotated[
        bool, typer.Option("--record-only", help="Record, and analyse nothing.")
    ] = False,
    json_: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Record a live stream, watch it in the terminal, and get findings when it ends.

    Every sample is on the disk within half a second, whatever dies. NAME.zarr is the recording;
    NAME-results gets report.html, result.json and connectivity.zarr. Ctrl-C ends the session in
    order; a second one gives up the analysis, never the recording.
    """
    if list_:
        _list(json_)
        return
    settings = state_of(context).settings
    said = description(settings, sensors, line_freq, subject, bads)
    spec = _spec(
        source, out, recipe or settings.recipe, duration, counter_channel,
        {**parse_options(option or []), **said}, outlets,
        settings.threads if threads is None else parse_threads(threads, "--threads"),
        not record_only,
    )  # fmt: skip
    from brainforge.cli.live_run import run_session

    payload, code = run_session(spec, quiet=quiet or json_)
    if json_:
        print_json(payload)
    else:
        from brainforge.cli.live_view import end_lines

        show(*end_lines(payload))
    if code:
        raise typer.Exit(code)


def record(
    context: typer.Context,
    source: Source = None,
    duration: Duration = None,
    out: Out = None,
    counter_channel: Counter = None,
    option: Options = None,
    sensors: Sensors = None,
    line_freq: LineFreq = None,
    subject: Subject = None,
    bads: Bads = None,
    json_: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Record a live stream and analyse nothing: `live --record-only`."""
    live(
        context, source, False, duration, out, None, counter_channel, option,
        sensors, line_freq, subject, bads, "", None, True, json_, quiet, debug,
    )  # fmt: skip


def _spec(
    source: str | None,
    out: Path | None,
    recipe: str,
    duration: float | None,
    counter_channel: str | None,
    options: dict[str, Any],
    outlets: str,
    threads: int,
    analyse: bool,
) -> SessionSpec:
    from brainforge.session.spec import SessionSpec

    if source is None:
        raise InputError(
            where="--source",
            expected="lsl:NAME, fieldtrip:HOST:PORT, tcp:HOST:PORT, unix:PATH, replay:PATH or "
            "phantom",
            got="nothing",
            fix="brainforge live --list shows what there is",
        )
    archive = out or Path(default_name(source, datetime.now()))
    return SessionSpec(
        source=source,
        archive=str(archive),
        recipe=recipe,
        options=options,
        duration=duration,
        counter_channel=counter_channel,
        threads=threads,
        analyse=analyse,
        outlets=outlets,
    )


def description(
    settings: Settings,
    sensors: Path | None,
    line_freq: str | None,
    subject: str | None,
    bads: str | None,
) -> dict[str, Any]:
    """Return what the user says of the stream, as options of any source."""
    hz = settings.line_freq
    if line_freq is not None:
        hz = parse_line_freq(line_freq, "--line-freq")
    names = [name.strip() for name in (bads or "").split(",") if name.strip()]
    said = {
        "sensors": None if sensors is None else str(sensors.resolve()),
        "line_freq": hz,
        "subject": subject,
        "bads": names or None,
    }
    return {key: value for key, value in said.items() if value is not None}


def default_name(source: str, now: datetime) -> str:
    """Return the archive's name where none was given: kind of source, date and time."""
    return f"{source.split(':')[0]}-{now:%Y%m%d-%H%M%S}.zarr"


def parse_options(texts: list[str]) -> dict[str, Any]:
    """Return ``KEY=VALUE`` texts as a dict; InputError for others."""
    found = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not (key and equals):
            raise InputError(where="--option", expected="KEY=VALUE", got=repr(text))
        found[key.strip().replace("-", "_")] = value.strip()
    return found


def _list(json_: bool) -> None:
    from brainforge.acquisition.connect import discover

    begun = time.monotonic()
    streams = discover()
    if json_:
        print_json({"streams": streams, "seconds": time.monotonic() - begun})
        return
    unavailable: list[str] = []
    made = table(
        "Streams", "source", "type", "channels", "rate", "host", right=("channels", "rate")
    )
    for stream in streams:
        if "error" in stream:
            unavailable.append(f"{stream['scheme']}: not looked for: {stream['error']}")
            continue
        made.add_row(
            str(stream["source"]),
            str(stream.get("type", "")),
            str(stream.get("channels", "")),
            f"{stream['rate_hz']:g} Hz" if stream.get("rate_hz") else "",
            str(stream.get("host", "")),
        )
    found = [made] if made.row_count else ["No streams were found on this network."]
    forms = "Written by hand: fieldtrip:HOST:PORT, tcp:HOST:PORT, unix:PATH, replay:PATH, phantom"
    show(*found, *unavailable, forms)
