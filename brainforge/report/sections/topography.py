"""Section: band power over the head, by region and by side."""

from __future__ import annotations

from typing import Any

import numpy as np

from brainforge.finding import Finding
from brainforge.report.arrays import ArrayPool
from brainforge.report.colours import SEQUENTIAL
from brainforge.report.helmet import PROJECTION, HeadMap, head_map
from brainforge.report.layouts import axis, colour_bar, layout, map_layout, sensors
from brainforge.report.page import Chart, Control, Part, Section
from brainforge.report.text import KIND_NAMES, squared, words
from brainforge.result import BandPower, Result


def build(result: Result, pool: ArrayPool) -> Section:
    """Build the section of topographies."""
    title, lead = "Topographies", "Where on the helmet the power of each band is seen."
    power = result.band_power
    if power is None:
        absent = f"The recipe {result.recipe} computes no band power."
        return Section("topographies", title, lead, absent=absent)
    parts: list[Part] = []
    for kind in ("mag", "grad"):
        head = head_map(result.info, power.channel_names, kind)
        if head is not None:
            parts.append(_maps(power, head, pool, kind, first=not parts))
    regional = [c for c in (_regions(result), _asymmetry(result)) if c is not None]
    if regional:
        parts.append(Part("By region and side", charts=tuple(regional)))
    absent = "The sensors' positions are not known, so there is no map to draw." * (not parts)
    return Section("topographies", title, lead, tuple(parts), absent)


def _maps(power: BandPower, head: HeadMap, pool: ArrayPool, kind: str, *, first: bool) -> Part:
    group = f"topo-{kind}"
    absolute = head.sites.power(power.channel_names, power.absolute)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = 100 * absolute / absolute.sum(axis=0)
    units = {"relative": "%", "absolute": squared(head.sites.unit)}
    charts = []
    for b, (band, (low, high)) in enumerate(power.bands.items()):
        for scale, values in (("relative", share[b]), ("absolute", absolute[b])):
            _add(pool, head, f"{group}/{band}/{scale}", values, units[scale])
        charts.append(_map(head, group, band, (low, high)))
    pair = "Each place shows the mean power of its pair of planar gradiometers. "
    control = Control(
        group, "scale", "Power", (("relative", "Relative (%)"), ("absolute", "Absolute"))
    )
    about = (
        PROJECTION + " Colours between the sensors are interpolated (thin-plate spline, Perrin et "
        "al. 1987); every map has its own scale, from the 2nd to the 98th percentile."
    )
    text = pair * (kind == "grad") + about * first
    return Part(KIND_NAMES[kind].capitalize(), text, (control,), tuple(charts))


def _add(pool: ArrayPool, head: HeadMap, key: str, values: Any, unit: str) -> None:
    finite = values[np.isfinite(values)]
    low, high = (float(v) for v in np.percentile(finite, [2, 98])) if len(finite) else (0.0, 1.0)
    pool.put(key, values)
    pool.value(f"{key}/low", low)
    pool.value(f"{key}/high", high)
    pool.value(f"{key}/unit", unit)
    pool.value(f"{key}/image", head.picture(values, low, high, SEQUENTIAL))


def _map(head: HeadMap, group: str, band: str, edges: tuple[float, float]) -> Chart:
    key = f"{group}/{band}/@scale"
    limits = ({"$v": f"{key}/low"}, {"$v": f"{key}/high"})
    trace = sensors(head, {"$a": key}, limits, SEQUENTIAL, "", "%{marker.color:.3g}")
    title = {"text": {"$v": f"{key}/unit"}, "side": "bottom", "font": {"size": 11}}
    trace["marker"]["colorbar"] = {**colour_bar(""), "title": title}
    trace["marker"]["size"] = 4
    return Chart(
        f"{group}-{band}",
        f"{band.capitalize()} {edges[0]:g}–{edges[1]:g} Hz",
        f"Flat map of {band} band power over the helmet.",
        "",
        [trace],
        map_layout(head, {"$v": f"{key}/image"}),
        height=250,
        square=50,
        group=group,
        size="small",
    )


def _find(result: Result, name: str) -> Finding | None:
    return next((f for f in result.findings if f.name == name), None)


def _regions(result: Result) -> Chart | None:
    finding = _find(result, "band_power")
    table = finding.details.get("regions") if finding is not None else None
    if finding is None or not table:
        return None
    names = list(table)
    bands = list(next(iter(table.values())))
    data = [
        {
            "type": "bar",
            "orientation": "h",
            "name": band,
            "y": [words(r) for r in names],
            "x": [round(100 * table[r][band]["relative"], 2) for r in names],
            "marker": {"color": f"--band-{i % 5}"},
            "customdata": [table[r][band]["absolute"] for r in names],
            "hovertemplate": f"{band}: %{{x:.1f}} %<br>%{{customdata:.3g}} "
            f"{finding.details['unit']}<extra>%{{y}}</extra>",
        }
        for i, band in enumerate(bands)
    ]
    return Chart(
        "regions",
        "Relative band power by region",
        finding.text,
        "Mean over the sites of each region of each band's share of the power. Regions are "
        "those of the sensors' directions from the helmet's centre; a source need not lie "
        "under its sensor.",
        data,
        layout(
            axis("Share of power (%)"),
            axis("", automargin=True, autorange="reversed"),
            barmode="stack",
            bargap=0.35,
            margin={"l": 96, "r": 12, "t": 12, "b": 44},
        ),
        height=340,
        size="half",
    )


def _asymmetry(result: Result) -> Chart | None:
    finding = _find(result, "asymmetry")
    bands = finding.details.get("bands") if finding is not None else None
    if finding is None or not bands:
        return None
    names = list(bands)
    values = [bands[b]["value"] for b in names]
    spans = [bands[b]["interval"] or (v, v) for b, v in zip(names, values)]
    error = {
        "type": "data",
        "symmetric": False,
        "array": [s[1] - v for s, v in zip(spans, values)],
        "arrayminus": [v - s[0] for s, v in zip(spans, values)],
        "color": "--accent",
        "thickness": 1.5,
        "width": 5,
    }
    reach = 1.15 * max(0.05, *(abs(v) for s in spans for v in s))
    trace = {
        "type": "scatter",
        "mode": "markers",
        "x": values,
        "y": names,
        "error_x": error,
        "marker": {"size": 9, "color": "--accent"},
        "hovertemplate": "%{y}: %{x:.3f}<extra></extra>",
        "showlegend": False,
    }
    return Chart(
        "asymmetry",
        "Left–right asymmetry",
        finding.text,
        f"ln(right) − ln(left) power over {finding.details['n_pairs']} pairs of mirrored "
        "sensors, with bootstrapped 95 % intervals; 0 is symmetry.",
        [trace],
        layout(
            axis("← left   ln(R/L)   right →", range=[-reach, reach],
                 zeroline=True, zerolinecolor="--muted"),
            axis("", automargin=True, autorange="reversed"),
            margin={"l": 72, "r": 12, "t": 12, "b": 44},
        ),
        height=340,
        size="half",
    )  # fmt: skip
