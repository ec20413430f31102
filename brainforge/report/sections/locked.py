"""Section: averages about the heartbeats and blinks, before and after cleaning."""

from __future__ import annotations

from typing import Any

import numpy as np

from brainforge.report.arrays import ArrayPool
from brainforge.report.layouts import axis, layout
from brainforge.report.page import Chart, Part, Section
from brainforge.report.text import KIND_NAMES, number
from brainforge.result import EventTrain, Result
from brainforge.units import working_unit

_MAX_CHANNELS = 20
_TEN = 10
_WORDS = {"ecg": ("heartbeat", "Heartbeats", "R peak"), "eog": ("blink", "Blinks", "blink")}


def build(result: Result, pool: ArrayPool) -> Section:
    """Build the section of event-locked averages."""
    title, lead = "Heart and eyes", "What is left of the heart's and the eyes' field."
    art = result.artifacts
    if art is None:
        absent = f"The recipe {result.recipe} looks for no heartbeats and blinks."
        return Section("locked", title, lead, absent=absent)
    parts = [_train(result, t, pool) for t in (art.ecg, art.eog)]
    return Section("locked", title, lead, tuple(parts))


def _train(result: Result, train: EventTrain, pool: ArrayPool) -> Part:
    single, plural, _ = _WORDS.get(train.kind, (train.kind, train.kind.capitalize(), "event"))
    if not train.n_events:
        return Part(plural, f"No {single} was found.")
    text = f"{train.n_events} found"
    if np.isfinite(train.rate_per_min):
        text += f" ({train.rate_per_min:.1f} per minute)"
    text += f" in {train.source}." if train.source else "."
    fact = None
    if np.isfinite(train.reduction_db):
        fact = {
            "value": f"{train.reduction_db:.1f} dB",
            "text": f"fall of the {single}-locked average's peak RMS, ten most affected channels",
        }
    if not train.average_before.size:
        return Part(plural, text + " No average was computed.")
    info = result.info
    charts = []
    for kind in ("mag", "grad", "eeg"):
        rows = [
            i for i, n in enumerate(train.channel_names)
            if n in info.names and info.channel(n).kind == kind and not info.channel(n).bad
        ]  # fmt: skip
        if rows:
            charts.append(_chart(train, rows, kind, pool))
    return Part(plural, text, charts=tuple(charts), template="fact", context={"fact": fact})


def _chart(train: EventTrain, rows: list[int], kind: str, pool: ArrayPool) -> Chart:
    single, _, zero = _WORDS.get(train.kind, (train.kind, train.kind, "event"))
    before, after = train.average_before[rows], train.average_after[rows]
    order = np.argsort(-np.nan_to_num(np.abs(before)).max(axis=1))
    shown, ten = order[:_MAX_CHANNELS], order[:_TEN]
    lags = np.asarray(train.lags) * 1000
    key = f"locked/{train.kind}/{kind}"
    # one line with breaks draws faster than many
    breaks = np.append(lags, np.nan)
    x_all = pool.put(f"{key}/lags-all", np.tile(breaks, len(shown)))
    x = pool.put(f"{key}/lags", lags, "f4")
    data: list[dict[str, Any]] = []
    for side, (state, average) in enumerate((("before", before), ("after", after))):
        lines = np.column_stack([average[shown], np.full(len(shown), np.nan)]).ravel()
        rms = np.sqrt(np.nanmean(np.asarray(average[ten], dtype=np.float64) ** 2, axis=0))
        where = {"xaxis": "x2" if side else "x", "type": "scatter", "mode": "lines"}
        data += [
            {
                **where,
                "x": x_all,
                "y": pool.put(f"{key}/{state}", lines),
                "line": {"color": f"--{state}/0.45", "width": 0.8},
                "hoverinfo": "skip",
                "name": f"{len(shown)} most affected, {state}",
            },
            {
                **where,
                "x": x,
                "y": pool.put(f"{key}/{state}/rms", rms, "f4"),
                "line": {"color": f"--{state}", "width": 2.4},
                "hovertemplate": "%{x:.0f} ms: %{y:.3g}<extra>RMS of ten</extra>",
                "name": f"RMS of the ten most affected, {state}",
            },
        ]
    unit = working_unit(kind)
    domain = {"before": [0, 0.485], "after": [0.515, 1]}
    titles = [
        {"text": state, "x": domain[state][0], "xanchor": "left", "y": 1, "yanchor": "bottom",
         "xref": "paper", "yref": "paper", "showarrow": False, "font": {"color": "--muted"}}
        for state in domain
    ]  # fmt: skip
    return Chart(
        f"locked-{train.kind}-{kind}",
        f"{single.capitalize()}-locked average, {KIND_NAMES[kind]}",
        f"Average of {len(rows)} {KIND_NAMES[kind]} about {train.n_events} {single}s: before "
        f"cleaning the RMS of the ten most affected peaks at {_peak(before, ten)} {unit}, after "
        f"at {_peak(after, ten)} {unit}.",
        f"Thin: the {len(shown)} most affected channels; thick: RMS of the ten most affected. "
        f"Both sides share one scale. Events were found before cleaning; 0 is the {zero}.",
        data,
        layout(
            axis("Lag (ms)", domain=domain["before"]),
            axis(f"Field ({unit})"),
            xaxis2=axis("Lag (ms)", domain=domain["after"], matches="x"),
            annotations=titles,
            showlegend=False,
            margin={"l": 64, "r": 12, "t": 24, "b": 44},
        ),
        height=320,
        size="full",
    )


def _peak(average: Any, ten: Any) -> str:
    rms = np.sqrt(np.nanmean(np.asarray(average[ten], dtype=np.float64) ** 2, axis=0))
    return number(float(np.nanmax(rms))) if rms.size else "–"
