"""What a session looks like in a terminal: a screen that stays put, or a line now and then."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from brainforge.cli.output import table
from brainforge.units import working_unit

if TYPE_CHECKING:
    from rich.console import RenderableType

    from brainforge.session.session import View

#: width of a bar of band power, in characters
BAR = 24
MOST_NOTICES = 6


def line(view: View) -> str:
    """Return the session's state in one line."""
    said, status = view.recorder, status_of(view)
    parts = [
        view.phase,
        f"{_count(said.get('received'))} samples",
        f"{_count(said.get('lost_samples'))} lost in {_count(said.get('gaps'))} gaps",
        f"{_rate(said.get('rate_hz'))}",
    ]
    if view.stale:
        parts.append(f"NO DATA for {view.silent_s:.1f} s")
    if status and view.old_s is None:
        parts += [f"age {age_text(status)}", f"heart {_heart(status)}"]
    elif view.old_s is not None and not view.stale:
        parts.append(f"values {view.old_s:.0f} s old")
    if said.get("alarm"):
        parts.append(f"ALARM: {said['alarm']}")
    if view.trouble:
        parts.append(f"TROUBLE: {view.trouble}")
    if view.phase == "finishing":
        parts.append(_stage(view))
    if view.restarts:
        parts.append(f"{len(view.restarts)} restarts")
    return ", ".join(parts)


def screen(view: View) -> RenderableType:
    """Return what the terminal shows."""
    from rich.console import Group
    from rich.panel import Panel
    from rich.text import Text

    bad = view.stale or view.trouble or view.recorder.get("alarm")
    style = "bold red" if bad else "bold green"
    head = Text(_headline(view), style=style)
    body: list[RenderableType] = [head]
    if view.old_s is not None and not view.stale:
        body.append(Text(f"what the pipeline shows is {view.old_s:.0f} s old", style="bold red"))
    body += [_samples(view), _health(view)]
    bands = band_rows(status_of(view))
    if bands:
        body.append(_bands(bands))
    notices = _notices(view)
    if notices:
        body.append(notices)
    if view.phase in ("starting", "live"):
        body.append(Text("Ctrl-C ends the session and writes the report", style="dim"))
    return Panel(Group(*body), title="Brain-Forge live", title_align="left")


def status_of(view: View) -> dict[str, Any]:
    """Return the pipeline's status, empty where there is none yet."""
    snapshot = view.topics.get("status")
    return dict(snapshot.meta) if snapshot is not None else {}


def band_rows(status: Mapping[str, Any]) -> list[tuple[str, str, float]]:
    """Return (band, field with its unit, share of the largest) of the first kind of sensor."""
    for kind, power in (status.get("band_power") or {}).items():
        # the root of a density is what sensors are compared by
        values = {band: value**0.5 for band, value in power.items() if value is not None}
        top = max(values.values(), default=0.0)
        unit = f"{working_unit(kind)}/√Hz"
        return [(b, f"{v:.3g} {unit}", v / top if top else 0.0) for b, v in values.items()]
    return []


def age_text(status: Mapping[str, Any]) -> str:
    """Return how old samples were when they were shown."""
    age = status.get("age") or {}
    if age.get("p50_ms") is None:
        return "–"
    return f"{age['p50_ms']:.0f} ms (p99 {age['p99_ms']:.0f})"


def _headline(view: View) -> str:
    said = view.recorder
    if view.stale:
        return f"NO DATA for {view.silent_s:.1f} s: everything below is old"
    if said.get("alarm"):
        return f"ALARM: {said['alarm']}"
    if view.trouble:
        return view.trouble
    if view.phase == "finishing":
        return f"finishing: {_stage(view)}"
    counted = "exact, by a counter" if said.get("exact") else "estimated from time stamps"
    return f"{view.phase}: {said.get('source', '')} (gaps {counted})"


def _stage(view: View) -> str:
    """Return how far the end is, in words."""
    progress = view.topics.get("progress")
    if progress is None:
        return "the last samples"
    return f"{progress.meta['stage']}, {100 * progress.meta['share']:.0f} %"


def _samples(view: View) -> RenderableType:
    said, status = view.recorder, status_of(view)
    made = table("", "received", "on disk", "lost", "gaps", "rate", "age of what is shown")
    made.title = None
    made.add_row(
        _count(said.get("received")),
        _count(said.get("committed")),
        _count(said.get("lost_samples")),
        _count(said.get("gaps")),
        _rate(said.get("rate_hz")) + _drift(said),
        age_text(status),
    )
    return made


def _health(view: View) -> RenderableType:
    said, status = view.recorder, status_of(view)
    made = table("", "bad channels", "heart", "operator", "disk", "sync", "CPU")
    made.title = None
    disk = said.get("disk") or {}
    free = disk.get("free_bytes")
    hours = disk.get("hours_left")
    room = "–" if free is None else f"{free / 2**30:.0f} GiB"
    sync = (said.get("sync_ms") or {}).get("p99")
    made.add_row(
        _bads(status),
        _heart(status),
        _operator(status),
        room if hours is None else f"{room}, {hours:.0f} h",
        "–" if sync is None else f"{sync:.0f} ms",
        f"{_seconds(said.get('cpu_s'))} + {_seconds(status.get('cpu_s'))}",
    )
    return made


def _bands(rows: list[tuple[str, str, float]]) -> RenderableType:
    made = table("", "band", "median", "", right=("median",))
    made.title = None
    for band, value, share in rows:
        made.add_row(band, value, "█" * max(round(BAR * share), 1))
    return made


def _notices(view: View) -> RenderableType | None:
    notices = view.recorder.get("last_notices") or []
    rows = [
        (n["what"], f"{n['start']}–{n['stop']}", n.get("cause", ""))
        for n in notices[-MOST_NOTICES:]
    ]
    rows += [("restart", "", f"the {d.name} {d.why}") for d in view.restarts[-2:]]
    if not rows:
        return None
    made = table("", "what", "samples", "why")
    made.title = None
    for row in rows:
        made.add_row(*row)
    return made


def _count(value: Any) -> str:
    return "–" if value is None else f"{value:,}".replace(",", " ")


def _rate(value: Any) -> str:
    return "–" if value is None else f"{value:.1f} Hz"


def _drift(said: Mapping[str, Any]) -> str:
    ppm = (said.get("clock") or {}).get("drift_ppm")
    return "" if ppm is None else f" ({ppm:+.0f} ppm)"


def _seconds(value: Any) -> str:
    return "–" if value is None else f"{value:.0f} s"


def _heart(status: Mapping[str, Any]) -> str:
    rate = (status.get("heart") or {}).get("rate_per_min")
    return "–" if rate is None else f"{rate:.0f}/min"


def _bads(status: Mapping[str, Any]) -> str:
    if not status.get("revision"):
        return "calibrating"
    names = [bad["name"] for bad in status.get("bads") or []]
    if not names:
        return "none"
    return f"{len(names)}: {', '.join(names[:4])}{' …' if len(names) > 4 else ''}"


def _operator(status: Mapping[str, Any]) -> str:
    calibration = status.get("calibration") or {}
    if calibration.get("error"):
        return f"revision {status.get('revision', 0)}; {calibration['error']}"
    if status.get("revision"):
        return f"revision {status['revision']}"
    wanted = calibration.get("wanted_s")
    if wanted is None:
        return "–"
    return f"{calibration['state']} {calibration['collected_s']:.0f} of {wanted:.0f} s"


def end_lines(payload: Mapping[str, Any]) -> Iterator[Any]:
    """Yield what is printed when a session has ended."""
    ledger = payload["recording"]
    if ledger is None:
        yield f"{payload['archive']}: not finished; run: brainforge repair {payload['archive']}"
    else:
        lost = sum(g["stop"] - g["start"] for g in ledger["gaps"])
        yield (
            f"{payload['archive']}: {ledger['stored']} samples stored, {lost} lost in "
            f"{len(ledger['gaps'])} gaps, {ledger['received']} in all; "
            f"{'whole' if ledger['ok'] else 'DAMAGED'}"
        )
    if payload["trouble"]:
        yield f"note: {payload['trouble']}"
    for restart in payload["restarts"]:
        yield f"note: the {restart['process']} {restart['why']} and was started again"
    timings = payload["timings"]
    if "stop_to_report_s" in timings:
        yield f"report ready {timings['stop_to_report_s']:.1f} s after the last sample"
    for name, path in (payload["outputs"] or {}).items():
        if path:
            yield f"{name}: {path}"
