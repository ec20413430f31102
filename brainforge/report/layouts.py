"""Shared pieces of Plotly layouts: calm axes, and sensors on the helmet."""

from __future__ import annotations

from typing import Any

from brainforge.report.colours import scale
from brainforge.report.helmet import HeadMap
from brainforge.report.text import label


def axis(title: str, **more: Any) -> dict[str, Any]:
    """Return an axis with a title and the theme's quiet grid."""
    return {
        "title": {"text": title, "standoff": 8},
        "gridcolor": "--grid",
        "linecolor": "--grid",
        "zerolinecolor": "--grid",
        "tickfont": {"color": "--muted"},
        "ticks": "outside",
        "ticklen": 3,
        "tickcolor": "--grid",
        **more,
    }


def layout(
    x: dict[str, Any] | None = None, y: dict[str, Any] | None = None, **more: Any
) -> dict[str, Any]:
    """Return a layout on the theme's paper."""
    out: dict[str, Any] = {
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "--font", "size": 12, "color": "--ink"},
        "margin": {"l": 64, "r": 18, "t": 12, "b": 48},
        "hoverlabel": {"bgcolor": "--card", "bordercolor": "--grid", "font": {"color": "--ink"}},
        "legend": {
            "orientation": "h",
            "y": 1.02,
            "yanchor": "bottom",
            "x": 0,
            "traceorder": "normal",
        },
    }
    if x is not None:
        out["xaxis"] = x
    if y is not None:
        out["yaxis"] = y
    return {**out, **more}


def colour_bar(title: str, *, flat: bool = True) -> dict[str, Any]:
    """Return a slim colour bar, below the figure (``flat``) or beside it."""
    bar: dict[str, Any] = {
        "title": {"text": title, "side": "bottom" if flat else "right", "font": {"size": 11}},
        "thickness": 8,
        "outlinewidth": 0,
        "tickfont": {"size": 10, "color": "--muted"},
        "nticks": 4,
    }
    if flat:
        place = {"x": 0.5, "xanchor": "center", "y": -0.03, "yanchor": "top", "len": 0.62}
        bar |= {"orientation": "h", **place}
    return bar


def sensors(
    head: HeadMap,
    values: Any,
    limits: tuple[Any, Any],
    colours: tuple[str, ...],
    title: str,
    hover: str,
) -> dict[str, Any]:
    """Return a trace of the sensors, each in the colour of its own value.

    ``values`` and ``limits`` may be references; ``hover`` formats ``%{marker.color}``.
    """
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [round(float(v), 3) for v in head.xy[:, 0]],
        "y": [round(float(v), 3) for v in head.xy[:, 1]],
        "text": [label(n) for n in head.sites.labels()],
        "marker": {
            "size": 6,
            "color": values,
            "cmin": limits[0],
            "cmax": limits[1],
            "colorscale": scale(colours),
            "colorbar": colour_bar(title),
            "line": {"color": "--dot", "width": 0.8},
        },
        "hovertemplate": "%{text}<br>" + hover + "<extra></extra>",
        "showlegend": False,
    }


def map_layout(head: HeadMap, image: Any = None, **more: Any) -> dict[str, Any]:
    """Return the layout of a flat map, with an interpolated picture under the sensors."""
    return layout(
        **head.axes(),
        margin={"l": 4, "r": 4, "t": 4, "b": 46},
        shapes=head.outline(),
        images=[head.image_spec(image)] if image is not None else [],
        hovermode="closest",
        **more,
    )
