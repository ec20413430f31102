"""The interactive page of the results: one HTML file that needs no network."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import job
from benchmarks.pictures import MET, MISSED, PEER
from benchmarks.sizes import CHANNELS, MINUTES
from benchmarks.stage_sections import headlines, threads_of
from benchmarks.store import RESULTS, Row, load, load_rows
from benchmarks.table import figure, header, peer_seconds, seconds, size, target

STYLE = """body { font: 15px/1.5 system-ui, sans-serif; max-width: 75rem; margin: 2rem auto;
padding: 0 1rem; color: #1d2329 } table { border-collapse: collapse } td, th { padding: .3rem .6rem;
border-bottom: 1px solid #dde1e6; text-align: left; vertical-align: top; font-size: 13px }"""


def ratio_bars(rows: Sequence[Row]) -> Any:
    """Return ratios to the peers as bars, targets as marks."""
    import plotly.graph_objects as go

    first = [r for r in headlines(rows) if r["ratio"]][::-1]
    most = [threads_of(r) for r in first]
    titles = [r["title"] for r in first]
    met = [r["target"] is None or r["target"]["met"] for r in first]
    out = go.Figure(
        go.Bar(
            x=[r["ratio"][t] for r, t in zip(first, most)],
            y=titles,
            orientation="h",
            marker={
                "color": [MET if m else MISSED for m in met],
                "pattern": {"shape": ["/" * r["peer"]["extrapolated"] for r in first]},
            },
            customdata=[
                (peer_seconds(r), seconds(r["ours"]["by_threads"][t]["wall_s"]), t, target(r),
                 "<br>".join(figure(f) for f in r["accuracy"]), r["peer"]["law"])
                for r, t in zip(first, most)
            ],
            hovertemplate="%{y}: %{x:.3g}×<br>peer %{customdata[0]} %{customdata[5]}<br>ours "
            "%{customdata[1]} on %{customdata[2]} threads<br>%{customdata[3]}<br>%{customdata[4]}"
            "<extra></extra>",
            name="reached",
        )
    )  # fmt: skip
    wanted = [r for r in first if r["target"]]
    out.add_scatter(
        x=[r["target"]["ratio"] for r in wanted], y=[r["title"] for r in wanted], mode="markers",
        marker={"symbol": "line-ns", "size": 16, "line": {"width": 3, "color": "black"}},
        name="wanted",
    )  # fmt: skip
    out.update_layout(title="Times as fast as the peer (hatched: peer extrapolated)",
                      height=120 + 34 * len(first), template="plotly_white")  # fmt: skip
    out.update_xaxes(type="log")
    return out


def scaling(rows: Sequence[Row], along: str) -> Any:
    """Return seconds over ``minutes`` or ``n_channels``, both axes logarithmic; a menu of rows."""
    import plotly.graph_objects as go

    fixed, value = ("n_channels", CHANNELS) if along == "minutes" else ("minutes", MINUTES)
    out, names = go.Figure(), list({r["name"]: r["title"] for r in rows}.items())
    for at, (name, title) in enumerate(names):
        points = sorted(
            (r for r in rows if r["name"] == name and r[fixed] == value), key=lambda r: r[along]
        )
        for trace in _curves(points, along):
            out.add_scatter(**trace, visible=at == 0, legendgroup=title)
    buttons = [
        {"label": title, "method": "update",
         "args": [{"visible": [i // N_CURVES == at for i in range(N_CURVES * len(names))]}]}
        for at, (_, title) in enumerate(names)
    ]  # fmt: skip
    unit = f"{value} channels" if along == "minutes" else f"{value:g} min"
    label = "minutes" if along == "minutes" else "channels"
    out.update_layout(title=f"Seconds over {label}, {unit}; dashed: extrapolated", height=480,
                      template="plotly_white", updatemenus=[{"buttons": buttons, "x": 1.0,
                      "xanchor": "right", "y": 1.16}])  # fmt: skip
    out.update_xaxes(type="log", title=label)
    out.update_yaxes(type="log", title="seconds")
    return out


#: product on most threads and on one, peer run, peer extrapolated
N_CURVES = 4


def _curves(points: Sequence[Row], along: str) -> list[dict[str, Any]]:
    def line(some: Sequence[Row], y: list[float | None], **style: Any) -> dict[str, Any]:
        return {"x": [p[along] for p in some], "y": y, "mode": "lines+markers", **style}

    known = [p for p in points if p["peer"]["wall_s"] is not None]
    run = [p for p in known if p["peer"]["measured"]]
    beyond = [*run[-1:], *(p for p in known if not p["peer"]["measured"])]
    single = [p for p in points if "1" in p["ours"]["by_threads"]]
    return [
        line(points, [p["ours"]["by_threads"][threads_of(p)]["wall_s"] for p in points],
             name="Brain-Forge, most threads", line={"color": MET}),
        line(single, [p["ours"]["by_threads"]["1"]["wall_s"] for p in single],
             name="Brain-Forge, 1 thread", line={"color": MET, "width": 1}),
        line(run, [p["peer"]["wall_s"] for p in run], name="peer", line={"color": PEER}),
        line(beyond, [p["peer"]["wall_s"] for p in beyond], name="peer, extrapolated",
             line={"color": PEER, "dash": "dash"}, text=[p["peer"]["law"] for p in beyond]),
    ]  # fmt: skip


def job_bars(rows: Sequence[Row]) -> Any:
    """Return the whole job's seconds by stage, stacked, for every run of the product."""
    import plotly.graph_objects as go

    runs = [r for r in rows if r["name"] != job.PEER]
    names = [f"{r['minutes']:g} min × {r['n_channels']}, {r['name']}" for r in runs]
    out = go.Figure()
    for at, (label, *_) in enumerate(job.stages(runs[0], rows)[:-1]):
        spent = [job.stages(r, rows)[at][1] for r in runs]
        out.add_bar(y=names, x=spent, name=label, orientation="h")
    out.update_layout(title="The whole job, seconds by stage", barmode="stack",
                      template="plotly_white", height=160 + 50 * len(runs))  # fmt: skip
    return out


def table(rows: Sequence[Row]) -> str:
    """Return every row as an HTML table."""
    names = ("stage", "size", "peer", "law", "2 threads", "1 thread", "ratio", "target", "accuracy")
    lines = [f"<tr>{''.join(f'<th>{n}</th>' for n in names)}</tr>"]
    for row in rows:
        ours = row["ours"]["by_threads"]
        cells = [
            row["title"], size(row), peer_seconds(row), row["peer"]["law"],
            *(seconds(ours[t]["wall_s"]) if t in ours else "–" for t in ("2", "1")),
            " / ".join(f"{v:.3g}×" for v in row["ratio"].values()) or "–", target(row),
            "\n".join(figure(f) for f in row["accuracy"]),
        ]  # fmt: skip
        text = (html.escape(cell).replace("\n", "<br>") for cell in cells)
        lines.append(f"<tr>{''.join(f'<td>{cell}</td>' for cell in text)}</tr>")
    return f"<table>{''.join(lines)}</table>"


def write_html(path: Path, folder: Path = RESULTS) -> Path:
    """Write the page for the results of a folder; return its path."""
    rows, jobs = load_rows(folder / "peers.json"), load_rows(folder / "job.json")
    figures = []
    if rows:
        figures += [ratio_bars(rows), scaling(rows, "minutes"), scaling(rows, "n_channels")]
    if any(r["name"] != job.PEER for r in jobs):
        figures.append(job_bars(jobs))
    parts = [f.to_html(full_html=False, include_plotlyjs=at == 0) for at, f in enumerate(figures)]
    told = html.escape(header(rows[-1])) if rows else "Nothing has been measured."
    device = load(folder / "device.json")
    waiting = [r["title"] for r in device["rows"] if r["wall_s"] is None] if device else []
    gpu = f"<p>GPU, not run on hardware: {html.escape(', '.join(waiting))}.</p>" if waiting else ""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f"<!doctype html><html lang='en'><meta charset='utf-8'><title>Performance</title>"
        f"<style>{STYLE}</style><h1>Performance</h1><p>{told}</p>{''.join(parts)}"
        f"{table(rows)}{gpu}</html>",
        encoding="utf-8",
    )
    return path
