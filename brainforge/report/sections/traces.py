"""Section: a stretch of the signal before and after cleaning."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.findings.regions import REGIONS, regions
from brainforge.report.arrays import ArrayPool
from brainforge.report.layouts import axis, layout
from brainforge.report.page import Chart, Part, Section
from brainforge.report.text import KIND_NAMES, label, number
from brainforge.result import Result, Traces
from brainforge.units import working_unit

#: of all kinds together
_MAX_CHANNELS = 30
_MAX_SAMPLES = 2000


def build(result: Result, pool: ArrayPool) -> Section:
    """Build the section of traces."""
    title = "Traces"
    lead = "A stretch of the recording before and after cleaning, on the same scale."
    traces = result.traces
    if traces is None or not len(traces.times):
        absent = "The recipe keeps no excerpt of the signal."
        return Section("traces", title, lead, absent=absent)
    parts: list[Part] = []
    found: dict[str, list[str]] = {}
    for kind in ("mag", "grad", "eeg"):
        names = [
            n for n in traces.channel_names
            if n in result.info.names and result.info.channel(n).kind == kind
        ]  # fmt: skip
        if names:
            found[kind] = names
    for kind, names in found.items():
        chosen = choose_channels(result, traces, names, min(20, _MAX_CHANNELS // len(found)))
        parts.append(Part(charts=(_stack(result, traces, pool, kind, chosen),)))
    return Section("traces", title, lead, tuple(parts))


def choose_channels(result: Result, traces: Traces, names: list[str], n_channels: int) -> list[str]:
    """Return up to ``n_channels``: half those that cleaning changed most, half spread evenly.

    Bad channels come last; the order is that of the regions, front to back.
    """
    info = result.info
    row = {n: i for i, n in enumerate(traces.channel_names)}
    good = [n for n in names if not info.channel(n).bad] or names
    rows = [row[n] for n in good]
    change = np.nanstd(traces.before[rows] - traces.after[rows], axis=1)
    most = [good[i] for i in np.argsort(-np.nan_to_num(change))[: n_channels // 2]]
    where = regions(info, good)
    rank = {n: REGIONS.index(where[n]) if n in where else len(REGIONS) for n in good}
    ordered = sorted(good, key=lambda n: rank[n])
    rest = [n for n in ordered if n not in set(most)]
    step = max(1, -(-len(rest) // (n_channels - len(most))))
    chosen = set(most) | set(rest[::step][: n_channels - len(most)])
    return [n for n in ordered if n in chosen]


def _thin(times: npt.NDArray[Any]) -> slice:
    """Keep at most 2000 samples by cropping, never by leaving out samples in between."""
    return slice(0, min(len(times), _MAX_SAMPLES))


def _stack(result: Result, traces: Traces, pool: ArrayPool, kind: str, names: list[str]) -> Chart:
    row = {n: i for i, n in enumerate(traces.channel_names)}
    rows = [row[n] for n in names]
    keep = _thin(traces.times)
    x = pool.put(f"traces/{kind}/times", traces.times[keep], "f4")
    after = np.asarray(traces.after[rows][:, keep], dtype=np.float64)
    before = np.asarray(traces.before[rows][:, keep], dtype=np.float64)
    middle = np.nanmedian(before, axis=1, keepdims=True)
    step = _nice(6 * float(np.nanmedian(np.nanstd(after, axis=1))) or 1.0)
    data: list[dict[str, Any]] = []
    for state, values in (("before", before - middle), ("after", after)):
        # drawn upwards, so the first channel is on top
        pool.put(f"traces/{kind}/{state}", values / step + np.arange(len(rows), 0, -1)[:, None])
        for i, name in enumerate(names):
            data.append(
                {
                    "type": "scatter",
                    "mode": "lines",
                    "x": x,
                    "y": {"$a": f"traces/{kind}/{state}", "row": str(i)},
                    "name": state,
                    "legendgroup": state,
                    "showlegend": i == 0,
                    "line": {"color": f"--{state}", "width": 0.9 if state == "before" else 1.1},
                    "text": label(name),
                    "hovertemplate": "%{text}<br>%{x:.2f} s<extra>" + state + "</extra>",
                }
            )
    unit = working_unit(kind)
    return Chart(
        f"traces-{kind}",
        f"{KIND_NAMES[kind].capitalize() if kind != 'eeg' else 'EEG'}: {len(names)} channels",
        f"{len(names)} {KIND_NAMES[kind]} over time, stacked, before and after cleaning.",
        f"From one channel to the next is {number(step)} {unit}. Half of the channels are those "
        "that cleaning changed most, the others are spread over the head; front at the top. "
        "Click the legend to hide a state, drag to zoom, double-click to return.",
        data,
        layout(
            axis("Time (s)"),
            axis(
                f"Channel ({number(step)} {unit} apart)",
                tickvals=list(range(len(names), 0, -1)),
                ticktext=[label(n[:16]) for n in names],
                range=[-0.2, len(names) + 1.2],
                automargin=True,
                tickfont={"size": 10, "color": "--muted"},
                showgrid=False,
            ),
            hovermode="closest",
        ),
        height=140 + 24 * len(names),
    )


def _nice(value: float) -> float:
    """Round up to 1, 2 or 5 times a power of ten."""
    power = 10.0 ** np.floor(np.log10(value))
    return float(next(m * power for m in (1, 2, 5, 10) if m * power >= value))
