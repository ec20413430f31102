"""Section: the components that were fitted, and those that were removed."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.report.arrays import ArrayPool
from brainforge.report.colours import DIVERGING, SEQUENTIAL, png
from brainforge.report.helmet import HeadMap, head_map
from brainforge.report.layouts import axis, layout
from brainforge.report.page import Chart, Part, Section
from brainforge.report.text import KIND_NAMES, number, words
from brainforge.result import Artifacts, Component, Result

_NAMES = {
    "eog": "eyes",
    "ecg": "heart",
    "muscle": "muscle",
    "line": "mains",
    "brain": "brain",
    "other": "not classified",
}
_MAX_SHOWN = 12
_MAX_SAMPLES = 3000


def build(result: Result, pool: ArrayPool) -> Section:
    """Build the section of components."""
    title = "Components"
    art = result.artifacts
    if art is None:
        absent = f"The recipe {result.recipe} removes no components."
        return Section("components", title, "What was taken out of the signal.", absent=absent)
    method = {"ica": "independent", "ssp": "signal-space"}.get(art.method, art.method)
    lead = f"{len(art.removed)} of {art.n_fitted} {method} components were removed."
    maps = {k: m for k in ("mag", "grad") if (m := head_map(result.info, art.channel_names, k))}
    top = result.info.lowpass or np.inf
    parts = [_removed(c, art, maps, pool, top) for c in art.removed[:_MAX_SHOWN]] or [
        Part("", "No component was removed.")
    ]
    if art.text:
        parts.insert(0, Part("", art.text))
    if art.components:
        parts.append(_all(art, maps, top))
    return Section("components", title, lead, tuple(parts))


def _pictures(
    component: Component, art: Artifacts, maps: dict[str, HeadMap], every: int = 1
) -> list[dict[str, str]]:
    """Return a picture of the topography for each kind: signed, or RMS of planar pairs.

    ``every`` thins the picture's grid for thumbnails.
    """
    out = []
    for kind, head in maps.items():
        signed = kind == "mag"
        power = component.topography if signed else component.topography**2
        values = head.sites.power(art.channel_names, power)
        values = values if signed else np.sqrt(values)
        top = float(np.nanmax(np.abs(values))) if np.isfinite(values).any() else 1.0
        low, colours = (-top, DIVERGING) if signed else (0.0, SEQUENTIAL)
        image = png(head.image(values)[::every, ::every], low, top, colours)
        what = "field, ±" if signed else "RMS of pairs, 0 to "
        alt = (
            f"Topography of component {component.index} ({_NAMES.get(component.kind)}) in the "
            f"{KIND_NAMES[kind]}, nose up"
        )
        out.append(
            {
                "src": image,
                "alt": alt,
                "text": f"{what}{number(top, 2)} {head.sites.unit}",
            }
        )
    return out


def _removed(
    component: Component,
    art: Artifacts,
    maps: dict[str, HeadMap],
    pool: ArrayPool,
    top: float,
) -> Part:
    name = _NAMES.get(component.kind, component.kind)
    key = f"component-{component.index}"
    charts = tuple(
        c for c in (_course(component, art, pool, key), _psd(component, art, pool, key, top)) if c
    )
    context = {
        "index": component.index,
        "kind": name,
        "reason": component.reason,
        "pictures": _pictures(component, art, maps),
        "scores": [(words(k), number(v, 2)) for k, v in component.scores.items()],
    }
    return Part(charts=charts, template="component", context=context)


def _course(component: Component, art: Artifacts, pool: ArrayPool, key: str) -> Chart | None:
    excerpt = np.asarray(component.excerpt, dtype=np.float64)[:_MAX_SAMPLES]
    if not len(excerpt) or not art.excerpt_sfreq > 0:
        return None
    x = pool.put(f"excerpt/{len(excerpt)}", np.arange(len(excerpt)) / art.excerpt_sfreq, "f4")
    trace = {
        "type": "scatter",
        "mode": "lines",
        "x": x,
        "y": pool.put(f"{key}/excerpt", excerpt),
        "line": {"color": "--after", "width": 1},
        "hovertemplate": "%{x:.2f} s: %{y:.2f}<extra></extra>",
    }
    return Chart(
        f"{key}-course",
        "Time course",
        f"Time course of component {component.index}.",
        "",
        [trace],
        _small(axis("Time (s)"), axis("Amplitude (SD)")),
        height=170,
        size="half",
    )


def _psd(
    component: Component, art: Artifacts, pool: ArrayPool, key: str, top: float
) -> Chart | None:
    use = (np.asarray(art.freqs) >= 1) & (np.asarray(art.freqs) <= top)
    if not use.any() or len(component.psd) != len(art.freqs):
        return None
    freqs = np.asarray(art.freqs)[use]
    trace = {
        "type": "scatter",
        "mode": "lines",
        "x": pool.put("component-freqs", freqs, "f4"),
        "y": pool.put_log(f"{key}/psd", np.asarray(component.psd)[use], "i2"),
        "line": {"color": "--after", "width": 1.2},
        "hovertemplate": "%{x:.1f} Hz<extra></extra>",
    }
    x = axis("Frequency (Hz)", type="log", tickvals=[1, 2, 5, 10, 20, 50, 100])
    y = axis("Power (1/Hz)", type="log", dtick=1, exponentformat="power")
    return Chart(
        f"{key}-psd",
        "Spectrum",
        f"Power spectrum of component {component.index} on logarithmic axes.",
        "",
        [trace],
        _small(x, y),
        height=170,
        size="half",
    )


def _small(x: dict[str, Any], y: dict[str, Any]) -> dict[str, Any]:
    return layout(x, y, margin={"l": 58, "r": 8, "t": 6, "b": 40}, showlegend=False)


def _all(art: Artifacts, maps: dict[str, HeadMap], top: float) -> Part:
    rows = [
        {
            "index": c.index,
            "kind": _NAMES.get(c.kind, c.kind),
            "removed": c.removed,
            "reason": c.reason,
            "scores": ", ".join(f"{words(k)} {number(v, 2)}" for k, v in c.scores.items()),
            "pictures": _pictures(c, art, maps, every=2),
            "spark": _spark(np.asarray(c.psd, dtype=np.float64), np.asarray(art.freqs), top),
        }
        for c in art.components
    ]
    return Part(
        "All fitted components", template="component_table", context={"rows": rows, "n": len(rows)}
    )


def _spark(psd: npt.NDArray[np.float64], freqs: npt.NDArray[Any], top: float) -> str:
    """Return an SVG path of the log-log spectrum in a box of 100 x 30."""
    if len(psd) != len(freqs):
        return ""
    use = (freqs >= 1) & (freqs <= top) & (psd > 0)
    if use.sum() < 2:
        return ""
    x, y = np.log10(freqs[use]), np.log10(psd[use])
    at = np.linspace(x[0], x[-1], 60)
    y = np.interp(at, x, y)
    y = 28 - 26 * (y - y.min()) / (np.ptp(y) or 1.0)
    points = (f"{i * 100 / 59:.0f} {v:.1f}" for i, v in enumerate(y))
    return "M " + " L ".join(points)
