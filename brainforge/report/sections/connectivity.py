"""Section: all-to-all connectivity as a matrix and as the strongest edges on the helmet."""

from __future__ import annotations

from typing import Any

import numpy as np

from brainforge.findings.network import MIN_EPOCHS, PREFERENCE, strongest_edges
from brainforge.findings.regions import REGIONS, regions
from brainforge.report.arrays import ArrayPool
from brainforge.report.colours import SEQUENTIAL, scale
from brainforge.report.helmet import PROJECTION, HeadMap, head_map
from brainforge.report.layouts import colour_bar, layout, map_layout
from brainforge.report.page import Chart, Control, Part, Section
from brainforge.report.text import label, words
from brainforge.result import Connectivity, Result

N_EDGES = 100
_STEP = 25
#: matrices take at most this many characters of the page
_BUDGET = 640_000
MEASURES = {
    "wpli2_debiased": "debiased squared wPLI (Vinck et al. 2011)",
    "wpli": "weighted phase lag index (Vinck et al. 2011)",
    "pli": "phase lag index (Stam et al. 2007)",
    "plv": "phase locking value (Lachaux et al. 1999)",
    "coh": "coherence",
    "imcoh": "imaginary part of coherency (Nolte et al. 2004)",
    "aec": "orthogonalised amplitude envelope correlation (Hipp et al. 2012)",
    "dpli": "directed phase lag index (Stam & van Straaten 2012)",
}


def build(result: Result, pool: ArrayPool) -> Section:
    """Build the section of connectivity."""
    title = "Connectivity"
    lead = "How strongly every pair of sensors is coupled in each band."
    connectivity = result.connectivity
    if connectivity is None or not any(connectivity.values.values()):
        absent = f"The recipe {result.recipe} computes no connectivity."
        return Section("connectivity", title, lead, absent=absent)
    measures, left_out = choose_measures(connectivity)
    bands = [b for b in connectivity.bands if all(b in connectivity.values[m] for m in measures)]
    order, blocks = region_order(result, connectivity.channel_names)
    _add(pool, connectivity, measures, bands, order)
    names = [connectivity.channel_names[i] for i in order]
    group = "connectivity"
    controls = (
        Control(
            group,
            "band",
            "Band",
            tuple((b, _band(connectivity, b)) for b in bands),
            chosen="alpha" * ("alpha" in bands),
        ),
        Control(group, "measure", "Measure", tuple((m, m) for m in measures), "select"),
    )
    charts = [_matrix(connectivity, names, blocks, left_out)]
    head = _nodes(result, connectivity.channel_names)
    if head is not None:
        charts.append(_edges(head, names, pool))
    counts = connectivity.n_epochs
    few = [b for b in bands if counts.get(b, 0) < MIN_EPOCHS]
    lead += " Epochs: " + ", ".join(f"{b} {counts.get(b, 0)}" for b in bands) + "."
    if few:
        lead += (
            f" Still collecting in {', '.join(few)}: below {MIN_EPOCHS} epochs these values "
            "cannot be told from chance."
        )
    part = Part("", _methods(connectivity, measures), controls, tuple(charts))
    return Section("connectivity", title, lead, (part,))


def _band(connectivity: Connectivity, band: str) -> str:
    low, high = connectivity.bands[band]
    return f"{band.capitalize()} {low:g}–{high:g} Hz"


def choose_measures(connectivity: Connectivity) -> tuple[list[str], list[str]]:
    """Return the measures that fit into the page, debiased ones first, and those left out."""
    present = [m for m, bands in connectivity.values.items() if bands]
    present.sort(key=lambda m: PREFERENCE.index(m) if m in PREFERENCE else len(PREFERENCE))
    n = len(connectivity.channel_names)
    one = max(1, int(n * n / 2 * 4 / 3) * len(connectivity.bands))
    fit = max(1, _BUDGET // one)
    return present[:fit], present[fit:]


def region_order(
    result: Result, names: tuple[str, ...]
) -> tuple[list[int], list[tuple[str, int, int]]]:
    """Return the rows ordered by region, and (region, first, stop) of each block."""
    where = regions(result.info, [n for n in names if n in result.info.names])
    ranked = [REGIONS.index(where[n]) if n in where else len(REGIONS) for n in names]
    kinds = [result.info.channel(n).kind if n in result.info.names else "" for n in names]
    order = sorted(range(len(names)), key=lambda i: (ranked[i], kinds[i], i))
    blocks: list[tuple[str, int, int]] = []
    for rank, region in enumerate((*REGIONS, "unknown place")):
        rows = [k for k, i in enumerate(order) if ranked[i] == rank]
        if rows and where:
            blocks.append((region, rows[0], rows[-1] + 1))
    return order, blocks


def _add(
    pool: ArrayPool,
    connectivity: Connectivity,
    measures: list[str],
    bands: list[str],
    order: list[int],
) -> None:
    for measure in measures:
        for band in bands:
            matrix = np.asarray(connectivity.values[measure][band])[np.ix_(order, order)]
            key = f"conn/{measure}/{band}"
            pool.put_square(key, matrix)
            off = matrix[~np.eye(len(matrix), dtype=bool)]
            off = off[np.isfinite(off)]
            low, high = np.percentile(off, [0.5, 99.7]) if len(off) else (0.0, 1.0)
            pool.value(f"{key}/low", float(min(low, 0.0) if low > 0 else low))
            pool.value(f"{key}/high", float(max(high, low + 1e-6)))
            edges = strongest_edges(matrix, N_EDGES)
            strength = matrix[edges[:, 0], edges[:, 1]] if len(edges) else np.zeros(0)
            pool.value(
                f"{key}/edges",
                [[int(i), int(j), round(float(v), 4)] for (i, j), v in zip(edges, strength)],
            )
    for measure in measures:
        pool.value(f"conn/{measure}/name", measure)


def _matrix(
    connectivity: Connectivity,
    names: list[str],
    blocks: list[tuple[str, int, int]],
    left_out: list[str],
) -> Chart:
    key = "conn/@measure/@band"
    shown = [label(n) for n in names]
    trace = {
        "type": "heatmap",
        "z": {"$a": key},
        "x": shown,
        "y": shown,
        "zmin": {"$v": f"{key}/low"},
        "zmax": {"$v": f"{key}/high"},
        "colorscale": scale(SEQUENTIAL),
        "colorbar": {
            **colour_bar(""),
            "y": -0.16 if blocks else -0.04,
            "title": {"text": {"$v": "conn/@measure/name"}, "side": "bottom"},
        },
        "hovertemplate": "%{y} – %{x}<br>%{z:.3f}<extra></extra>",
    }
    ticks = {
        "type": "category",
        "tickmode": "array",
        "tickvals": [(a + b - 1) / 2 for _, a, b in blocks],
        "ticktext": [words(r) for r, _, _ in blocks],
        "showgrid": False,
        "zeroline": False,
        "tickfont": {"size": 11, "color": "--muted"},
        "title": {"text": ""},
    }
    lines = [
        {"type": "line", "line": {"color": "--rule", "width": 1}, **where}
        for _, _, b in blocks[:-1]
        for where in (
            {"x0": b - 0.5, "x1": b - 0.5, "y0": -0.5, "y1": len(names) - 0.5},
            {"y0": b - 0.5, "y1": b - 0.5, "x0": -0.5, "x1": len(names) - 0.5},
        )
    ]
    more = ""
    if left_out:
        more = (
            f" Also computed: {', '.join(left_out)}; they are in the connectivity output, not in "
            "this page."
        )
    return Chart(
        "conn-matrix",
        "All pairs",
        f"Matrix of connectivity between {len(names)} sensors, ordered by region.",
        "Each cell is a pair of sensors, ordered by region"
        + (" (lines)" if blocks else " where known")
        + "; sensors near each other see the same sources, which lifts the blocks at the "
        "diagonal for measures that do not discard zero lag. Values in this page are rounded to "
        "255 levels of the matrix's range." + more,
        [trace],
        layout(
            {**ticks, "side": "bottom", "tickangle": -35},
            {**ticks, "autorange": "reversed", "scaleanchor": "x", "constrain": "domain"},
            shapes=lines,
            margin={"l": 86 if blocks else 10, "r": 4, "t": 4, "b": 110 if blocks else 60},
        ),
        height=600,
        square=60,
        group="connectivity",
        size="half",
    )


def _nodes(result: Result, names: tuple[str, ...]) -> HeadMap | None:
    """Return the map of all sensors that connectivity was computed on."""
    known = [n for n in names if n in result.info.names]
    return head_map(result.info, known, "meg", bads=True)


def _edges(head: HeadMap, names: list[str], pool: ArrayPool) -> Chart:
    at = {n: head.xy[s] for s, members in enumerate(head.sites.members) for n in members}
    xy = np.array([at.get(n, (np.nan, np.nan)) for n in names])
    pool.put("conn/nodes", xy)
    pool.value("conn/names", [label(n) for n in names])
    key = "conn/@measure/@band/edges"
    data: list[dict[str, Any]] = [
        {
            "type": "scatter",
            "mode": "markers",
            "x": xy[:, 0].round(3).tolist()
            if np.isfinite(xy).all()
            else {"$a": "conn/nodes", "col": 0},
            "y": xy[:, 1].round(3).tolist()
            if np.isfinite(xy).all()
            else {"$a": "conn/nodes", "col": 1},
            "text": {"$v": "conn/names"},
            "hovertemplate": "%{text}<extra></extra>",
            "marker": {"size": 4, "color": "--faint"},
            "showlegend": False,
        }
    ]
    # the strongest last, on top
    for first in range(N_EDGES - _STEP, -1, -_STEP):
        rank = first // _STEP
        where = {"$edges": key, "first": first, "stop": first + _STEP}
        data.append(
            {
                "type": "scatter",
                "mode": "lines",
                "x": {**where, "part": "x"},
                "y": {**where, "part": "y"},
                "name": f"{first + 1}–{first + _STEP}",
                "legendrank": rank + 1,
                "line": {"color": f"--edge/{(0.95, 0.6, 0.4, 0.25)[rank]}",
                         "width": (2.4, 1.7, 1.3, 1.0)[rank]},
                "hoverinfo": "skip",
            }
        )  # fmt: skip
    where = {"$edges": key, "first": 0, "stop": N_EDGES}
    data.append(
        {
            "type": "scatter",
            "mode": "markers",
            "x": {**where, "part": "mid-x"},
            "y": {**where, "part": "mid-y"},
            "text": {**where, "part": "text"},
            "hovertemplate": "%{text}<extra></extra>",
            "marker": {"size": 9, "color": "rgba(0,0,0,0)"},
            "showlegend": False,
        }
    )
    return Chart(
        "conn-edges",
        f"The {N_EDGES} strongest edges",
        f"The {N_EDGES} strongest edges of the chosen measure and band drawn on a flat map of "
        "the helmet.",
        PROJECTION + " The strongest 25 are drawn heaviest; point at the middle of an edge for "
        "its sensors and value. An edge joins sensors, not brain areas.",
        data,
        map_layout(head, legend={"orientation": "h", "y": -0.02, "yanchor": "top",
                                 "title": {"text": "rank "}}),
        height=600,
        square=60,
        group="connectivity",
        size="half",
    )  # fmt: skip


def _methods(connectivity: Connectivity, measures: list[str]) -> str:
    said = [connectivity.methods.get(m) or MEASURES.get(m, words(m)) for m in measures]
    return "Measures: " + "; ".join(f"{m} – {s}" for m, s in zip(measures, said)) + "."
