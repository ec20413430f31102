"""Section: the network's figures, and its hubs on the helmet."""

from __future__ import annotations

from typing import Any

import numpy as np

from brainforge.findings.sites import Sites
from brainforge.findings.wording import percent
from brainforge.report.arrays import ArrayPool
from brainforge.report.colours import SEQUENTIAL
from brainforge.report.helmet import PROJECTION, HeadMap, head_map
from brainforge.report.layouts import colour_bar, map_layout, sensors
from brainforge.report.page import Chart, Control, Part, Section, Table
from brainforge.report.text import label, number, words
from brainforge.result import Graph, Result

#: numbers of a module are names, nothing to interpolate
_CLASSES = ("module",)


def build(result: Result, pool: ArrayPool) -> Section:
    """Build the section of graph metrics."""
    title, lead = "Network", "The strongest edges taken together as a graph."
    graph = result.graph
    if graph is None or not graph.whole:
        absent = f"The recipe {result.recipe} computes no graph metrics."
        return Section("network", title, lead, absent=absent)
    lead = (
        f"The strongest {percent(graph.density)} of the edges by {graph.measure} as a graph "
        "(metrics: Rubinov & Sporns 2010)."
    )
    parts = [Part(tables=(_table(graph),))]
    hubs = _hubs(result, graph, pool)
    if hubs is not None:
        parts.append(hubs)
    return Section("network", title, lead, tuple(parts))


def _table(graph: Graph) -> Table:
    metrics = list(dict.fromkeys(m for band in graph.whole.values() for m in band))
    rows = tuple(
        (
            band.capitalize(),
            *(number(figures.get(m)) for m in metrics),
            ", ".join(graph.hubs.get(band, ())[:6]) or "–",
        )
        for band, figures in graph.whole.items()
    )
    head = ("Band", *(words(m).capitalize() for m in metrics), "Hubs")
    return Table("Whole network by band", head, rows)


def _hubs(result: Result, graph: Graph, pool: ArrayPool) -> Part | None:
    names = [n for n in graph.channel_names if n in result.info.names]
    bands = [b for b, metrics in graph.nodal.items() if metrics]
    if not bands:
        return None
    head = head_map(result.info, names, "meg", bads=True)
    if head is None:
        return None
    metrics = [m for m in graph.nodal[bands[0]] if m not in _CLASSES]
    for band in bands:
        for metric in metrics:
            values = head.sites.power(graph.channel_names, np.asarray(graph.nodal[band][metric]))
            finite = values[np.isfinite(values)]
            low, high = np.percentile(finite, [2, 98]) if len(finite) else (0.0, 1.0)
            key = f"graph/{band}/{metric}"
            pool.put(key, values)
            pool.value(f"{key}/low", float(low))
            pool.value(f"{key}/high", float(high))
            pool.value(f"{key}/image", head.picture(values, low, high, SEQUENTIAL))
        pool.value(f"graph/{band}/hubs", _hub_places(head, graph.hubs.get(band, ())))
    for metric in metrics:
        pool.value(f"graph/{metric}/name", words(metric).capitalize())
    group = "graph"
    controls = (
        Control(
            group,
            "band",
            "Band",
            tuple((b, b.capitalize()) for b in bands),
            chosen="alpha" * ("alpha" in bands),
        ),
        Control(
            group,
            "metric",
            "Metric",
            tuple((m, words(m)) for m in metrics),
            "select",
            chosen="strength" * ("strength" in metrics),
        ),
    )
    return Part("Hubs on the helmet", "", controls, (_chart(head),))


def _hub_places(head: HeadMap, hubs: tuple[str, ...]) -> dict[str, Any]:
    site = _site_of(head.sites)
    known = [h for h in hubs if h in site]
    return {
        "x": [round(float(head.xy[site[h], 0]), 3) for h in known],
        "y": [round(float(head.xy[site[h], 1]), 3) for h in known],
        "text": [label(h) for h in known],
    }


def _site_of(sites: Sites) -> dict[str, int]:
    return {n: s for s, members in enumerate(sites.members) for n in members}


def _chart(head: HeadMap) -> Chart:
    key = "graph/@band/@metric"
    limits = ({"$v": f"{key}/low"}, {"$v": f"{key}/high"})
    trace = sensors(head, {"$a": key}, limits, SEQUENTIAL, "", "%{marker.color:.3g}")
    title = {"text": {"$v": "graph/@metric/name"}, "side": "bottom", "font": {"size": 11}}
    trace["marker"]["colorbar"] = {**colour_bar(""), "title": title}
    rings = {
        "type": "scatter",
        "mode": "markers",
        "x": {"$v": "graph/@band/hubs", "key": "x"},
        "y": {"$v": "graph/@band/hubs", "key": "y"},
        "text": {"$v": "graph/@band/hubs", "key": "text"},
        "hovertemplate": "hub %{text}<extra></extra>",
        "marker": {"size": 15, "symbol": "circle-open", "color": "--edge", "line": {"width": 2.4}},
        "showlegend": False,
    }
    return Chart(
        "graph-hubs",
        "Node metrics",
        "Flat map of the helmet with the chosen node metric; hubs are ringed.",
        PROJECTION
        + " Rings mark the hubs, the strongest nodes of the band. Sensors at one place show "
        "their mean.",
        [trace, rings],
        map_layout(head, {"$v": f"{key}/image"}),
        height=460,
        square=50,
        group="graph",
        size="half",
    )
