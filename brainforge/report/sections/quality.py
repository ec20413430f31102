"""Section: what the samples were worth."""

from __future__ import annotations

from typing import Any

import numpy as np

from brainforge.findings.wording import percent
from brainforge.report.arrays import ArrayPool
from brainforge.report.colours import SEQUENTIAL, scale
from brainforge.report.helmet import PROJECTION, head_map
from brainforge.report.layouts import axis, colour_bar, layout, map_layout
from brainforge.report.page import Chart, Control, Part, Section, Table
from brainforge.report.text import CAUSES, KIND_NAMES, clock, density, label, number, words
from brainforge.result import Quality, Result
from brainforge.units import working_unit

_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "x", "cross", "star", "hexagon")
_METRICS = {
    "noise_floor": "Noise floor",
    "rms": "RMS",
    "peak_to_peak": "Peak to peak",
    "line_db": "Mains",
}
_MAX_MARKS = 3000


def build(result: Result, pool: ArrayPool) -> Section:
    """Build the quality section."""
    quality = result.quality
    parts = [_bad_channels(result), _maps(result, pool), _timeline(result)]
    n_bad, n = len(quality.bads), len(quality.channel_names)
    was = "was" if n_bad == 1 else "were"
    lead = (
        f"{n_bad} of {n} channels {was} judged bad and {percent(quality.coverage, 1)} of the "
        "recording's time holds samples that can be believed."
    )
    return Section("quality", "Quality", lead, tuple(parts))


def _bad_channels(result: Result) -> Part:
    bads = result.quality.bads
    if not bads:
        return Part("Bad channels", "No channel was judged bad.")
    rows = tuple(
        (
            b.name,
            words(b.reason),
            b.evidence,
            f"{number(b.value)} {b.unit}".strip(),
            f"{number(b.threshold)} {b.unit}".strip(),
        )
        for b in bads
    )
    table = Table(
        "Bad channels and the evidence for each",
        ("Channel", "Reason", "Evidence", "Value", "Threshold"),
        rows,
        "Bad channels take no part in any finding; in maps of the cleaned signal they are "
        "interpolated from their neighbours.",
    )
    return Part(tables=(table,))


def _bad_map(result: Result, kind: str) -> Chart | None:
    info, quality = result.info, result.quality
    known = [n for n in quality.channel_names if n in info.names]
    head = head_map(info, known, kind, bads=True)
    if head is None:
        return None
    at = {n: head.xy[s] for s, members in enumerate(head.sites.members) for n in members}
    bads = [b for b in quality.bads if b.name in at]
    if not bads:
        return None
    data: list[dict[str, Any]] = [
        {
            "type": "scatter",
            "mode": "markers",
            "name": "used",
            "x": head.xy[:, 0].round(3).tolist(),
            "y": head.xy[:, 1].round(3).tolist(),
            "text": [label(n) for n in head.sites.labels()],
            "hovertemplate": "%{text}<extra></extra>",
            "marker": {"size": 5, "color": "--faint"},
        }
    ]
    for i, reason in enumerate(dict.fromkeys(b.reason for b in bads)):
        of = [b for b in bads if b.reason == reason]
        data.append(
            {
                "type": "scatter",
                "mode": "markers+text",
                "name": words(reason),
                "x": [round(float(at[b.name][0]), 3) for b in of],
                "y": [round(float(at[b.name][1]), 3) for b in of],
                "text": [label(b.name[:14]) for b in of],
                "textposition": "top center",
                "textfont": {"size": 10},
                "customdata": [label(b.evidence) for b in of],
                "hovertemplate": "%{text}<br>%{customdata}<extra></extra>",
                "marker": {
                    "size": 11,
                    "color": f"--series-{i % 6}",
                    "symbol": _SYMBOLS[i % len(_SYMBOLS)],
                },
            }
        )
    where = ", ".join(f"{b.name} ({words(b.reason)})" for b in bads)
    return Chart(
        f"bad-map-{kind}",
        f"Bad {KIND_NAMES[kind]} on the helmet",
        f"Flat map of the helmet with {len(bads)} bad {KIND_NAMES[kind]} marked: {where}.",
        PROJECTION + " Neighbouring bad channels leave a hole that interpolation cannot fill.",
        data,
        map_layout(head, legend={"orientation": "h", "y": -0.02, "yanchor": "top"}),
        height=390,
        square=40,
        size="half",
    )


def _maps(result: Result, pool: ArrayPool) -> Part:
    """Bad channels, and figures of every channel, side by side on the helmet."""
    quality = result.quality
    found = {m: getattr(quality, m) for m in _METRICS}
    metrics = {m: v for m, v in found.items() if np.isfinite(v).any()}
    kinds = ("mag", "grad")
    drawn = [_metric_map(result, pool, k, list(metrics)) for k in kinds]
    drawn += [_bad_map(result, k) for k in kinds]
    charts = [c for c in drawn if c is not None]
    if not charts:
        return Part("On the helmet", "The sensors' positions are not known: no map to draw.")
    options = tuple((m, _METRICS[m]) for m in metrics)
    controls = (Control("quality", "metric", "Figure of each channel", options),) * bool(options)
    return Part("On the helmet", controls=controls, charts=tuple(charts))


def _metric_map(result: Result, pool: ArrayPool, kind: str, metrics: list[str]) -> Chart | None:
    quality = result.quality
    head = head_map(result.info, quality.channel_names, kind)
    if head is None or not metrics:
        return None
    unit = working_unit(kind)
    units = {"noise_floor": density(unit), "rms": unit, "peak_to_peak": unit, "line_db": "dB"}
    for metric in metrics:
        values = head.sites.power(quality.channel_names, getattr(quality, metric))
        finite = values[np.isfinite(values)]
        low, high = np.percentile(finite, [2, 98]) if len(finite) else (0.0, 1.0)
        key = f"quality/{kind}/{metric}"
        pool.put(key, values)
        pool.value(f"{key}/low", float(low))
        pool.value(f"{key}/high", float(high))
        pool.value(f"{key}/image", head.picture(values, float(low), float(high), SEQUENTIAL))
        pool.value(f"{key}/unit", f"{_METRICS[metric]} ({units[metric]})")
    key = f"quality/{kind}/@metric"
    trace = {
        "type": "scatter",
        "mode": "markers",
        "x": head.xy[:, 0].round(3).tolist(),
        "y": head.xy[:, 1].round(3).tolist(),
        "text": [label(n) for n in head.sites.labels()],
        "hovertemplate": "%{text}<br>%{marker.color:.3g}<extra></extra>",
        "marker": {
            "size": 6,
            "color": {"$a": key},
            "cmin": {"$v": f"{key}/low"},
            "cmax": {"$v": f"{key}/high"},
            "colorscale": scale(SEQUENTIAL),
            "line": {"color": "--dot", "width": 0.8},
            "colorbar": _bar({"$v": f"{key}/unit"}),
        },
        "showlegend": False,
    }
    return Chart(
        f"quality-map-{kind}",
        f"{KIND_NAMES[kind].capitalize()}, channel by channel",
        f"Flat map of the helmet with the chosen quality figure of all {KIND_NAMES[kind]}.",
        "Sensors in the colour of their own value over the picture interpolated between them "
        "(thin-plate spline, Perrin et al. 1987). Mains: power at the line over the "
        "neighbouring bins. Bad channels are left out.",
        [trace],
        map_layout(head, {"$v": f"{key}/image"}),
        height=390,
        square=40,
        group="quality",
        size="half",
    )


def _bar(title: Any) -> dict[str, Any]:
    return {**colour_bar(""), "title": {"text": title, "side": "bottom", "font": {"size": 11}}}


def _timeline(result: Result) -> Part:
    """Masked stretches, muscle, beats and blinks on one time axis."""
    rows = _rows(result.quality, result)
    if not rows:
        return Part("Time line", "No stretch was masked and no event was found.")
    duration = float(result.recording.get("duration_s", 0.0)) or max(
        stop for _, spans in rows for _, stop, _ in spans
    )
    data = []
    for i, (name, spans) in enumerate(rows):
        smallest = duration / 1500
        data.append(
            {
                "type": "bar",
                "orientation": "h",
                "base": [round(a, 3) for a, _, _ in spans],
                "x": [round(max(b - a, smallest), 3) for a, b, _ in spans],
                "y": [name] * len(spans),
                "text": [label(t) for _, _, t in spans],
                "textposition": "none",
                "hovertemplate": "%{text}<br>from %{base:.1f} s<extra></extra>",
                "marker": {"color": f"--series-{i % 6}", "line": {"width": 0}},
                "width": 0.55,
                "showlegend": False,
            }
        )
    what = "; ".join(f"{name}: {len(spans)}" for name, spans in rows)
    chart = Chart(
        "timeline",
        "Time line of the recording",
        f"Time line over {clock(duration)}. {what}.",
        "Masked stretches never enter a number. Stretches too short to be seen are drawn at "
        "the width of a hair; their true length is under the pointer.",
        data,
        layout(
            axis("Time (s)", range=[0, duration]),
            axis("", automargin=True, autorange="reversed"),
            margin={"l": 96, "r": 18, "t": 8, "b": 44},
            bargap=0.3,
            barmode="overlay",
        ),
        height=90 + 38 * len(rows),
    )
    return Part("Time line", charts=(chart,))


def _rows(quality: Quality, result: Result) -> list[tuple[str, list[tuple[float, float, str]]]]:
    rows: dict[str, list[tuple[float, float, str]]] = {}
    for interval in quality.intervals:
        name = CAUSES.get(interval.cause, words(interval.cause).capitalize())
        who = "all channels"
        if interval.channels is not None:
            who = ", ".join(interval.channels[:3]) + (" …" if len(interval.channels) > 3 else "")
        text = f"{name}, {interval.stop - interval.start:.2f} s, {who}"
        rows.setdefault(name, []).append((interval.start, interval.stop, text))
    art = result.artifacts
    if art is not None:
        for interval in art.muscle:
            text = f"Muscle, {interval.stop - interval.start:.1f} s"
            rows.setdefault("Muscle", []).append((interval.start, interval.stop, text))
        rate = float(result.recording.get("sfreq", 0.0))
        start = float(result.recording.get("first_sample", 0))
        for name, train in (("Blinks", art.eog), ("Heartbeats", art.ecg)):
            if train.n_events and rate:
                times = (np.asarray(train.samples)[:_MAX_MARKS] - start) / rate
                rows[name] = [(float(t), float(t), f"{name[:-1]} at {t:.1f} s") for t in times]
    return list(rows.items())
