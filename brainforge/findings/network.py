"""Network: how strongly the whole head is coupled, by which edges and hubs."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.finding import Finding
from brainforge.result import Connectivity, Graph

Floats = npt.NDArray[np.float64]

#: below this many epochs a network is still "collecting"
MIN_EPOCHS = 30
#: measures without the bias that few epochs bring come first
PREFERENCE = ("wpli2_debiased", "aec", "imcoh", "coh", "wpli", "plv", "pli")
_N_EDGES = 20
METHOD = (
    "Mean absolute connectivity over all pairs of sensors ({measure}); interval: vertex "
    "jackknife (Snijders & Borgatti 1999, Connections 22:161), 1.96 standard errors"
)


def preferred_measure(connectivity: Connectivity) -> str | None:
    """Return the measure that a summary rests on, debiased ones first."""
    present = [m for m in connectivity.values if connectivity.values[m]]
    first = next((m for m in PREFERENCE if m in present), None)
    return first or (present[0] if present else None)


def strongest_edges(matrix: npt.NDArray[np.floating], n_edges: int) -> npt.NDArray[np.intp]:
    """Return (row, column) of the ``n_edges`` strongest pairs by absolute value, strongest first.

    Of a matrix that is not symmetric the stronger direction is taken.
    """
    size = np.abs(np.asarray(matrix, dtype=np.float64))
    size = np.nan_to_num(np.maximum(size, size.T), nan=-1.0)
    rows, columns = np.triu_indices(len(size), 1)
    values = size[rows, columns]
    n_edges = min(n_edges, int((values > 0).sum()))
    if not n_edges:
        return np.zeros((0, 2), dtype=np.intp)
    part = np.argpartition(-values, n_edges - 1)[:n_edges]
    order = part[np.lexsort((part, -values[part]))]
    return np.column_stack([rows[order], columns[order]])


def mean_strength(matrix: npt.NDArray[np.floating]) -> tuple[float, float]:
    """Return the mean absolute off-diagonal value and its vertex-jackknife standard error."""
    size = np.abs(np.asarray(matrix, dtype=np.float64))
    np.fill_diagonal(size, np.nan)
    keep = np.isfinite(size).any(axis=1)
    size = size[np.ix_(keep, keep)]
    n = len(size)
    if n < 3:
        return float("nan"), float("nan")
    total, count = np.nansum(size), np.isfinite(size).sum()
    node_total = np.nansum(size, axis=0) + np.nansum(size, axis=1)
    node_count = np.isfinite(size).sum(axis=0) + np.isfinite(size).sum(axis=1)
    without = (total - node_total) / np.maximum(count - node_count, 1)
    error = np.sqrt((n - 2) / (2 * n) * ((without - without.mean()) ** 2).sum())
    return float(total / count), float(error)


def network(
    connectivity: Connectivity | None,
    graph: Graph | None = None,
    *,
    evidence: tuple[float, float] | None = None,
) -> Finding:
    """Give the mean strength of the network (alpha band), with edges, efficiency and hubs.

    ``details["bands"]`` holds, for every band with at least 30 epochs, the mean strength and
    its interval, the strongest edges (names and value), efficiency and hubs.
    """
    measure = preferred_measure(connectivity) if connectivity is not None else None
    if connectivity is None or measure is None:
        return _abstain("No connectivity was computed.", "any measure", evidence)
    counts = connectivity.n_epochs
    ready = [b for b in connectivity.values[measure] if counts.get(b, 0) >= MIN_EPOCHS]
    if not ready:
        most = max(counts.values(), default=0)
        text = (
            f"Still collecting: {most} clean epochs so far, {MIN_EPOCHS} are needed before "
            "coupling can be told from chance."
        )
        return _abstain(text, measure, evidence, {"n_epochs": dict(counts)})
    bands = {b: _band(connectivity, graph, measure, b) for b in ready}
    band = "alpha" if "alpha" in bands else ready[0]
    return _state(bands, band, measure, counts, evidence)


def _band(
    connectivity: Connectivity, graph: Graph | None, measure: str, band: str
) -> dict[str, Any]:
    matrix = connectivity.values[measure][band]
    names = connectivity.channel_names
    mean, error = mean_strength(matrix)
    edges = [
        {"from": names[i], "to": names[j], "value": float(matrix[i, j])}
        for i, j in strongest_edges(matrix, _N_EDGES)
    ]
    out: dict[str, Any] = {
        "mean": mean,
        "interval": [mean - 1.96 * error, mean + 1.96 * error],
        "n_epochs": connectivity.n_epochs[band],
        "edges": edges,
    }
    if graph is not None:
        out["efficiency"] = graph.whole.get(band, {}).get("efficiency")
        out["hubs"] = list(graph.hubs.get(band, ()))
    return out


def _state(
    bands: dict[str, dict[str, Any]],
    band: str,
    measure: str,
    counts: dict[str, int],
    evidence: tuple[float, float] | None,
) -> Finding:
    figures = bands[band]
    method = METHOD.format(measure=measure)
    if not np.isfinite(figures["mean"]):
        return _abstain("Fewer than three sensors hold connectivity values.", measure, evidence)
    text = (
        f"Mean {band} coupling over the head is {figures['mean']:.3f} ({measure}, "
        f"{figures['n_epochs']} epochs)"
    )
    if figures["edges"]:
        top = figures["edges"][0]
        text += f"; the strongest edge joins {top['from']} and {top['to']} ({top['value']:.2f})"
    return Finding(
        "network",
        f"{band.capitalize()} coupling",
        figures["mean"],
        "",
        text + ".",
        uncertainty=(figures["interval"][0], figures["interval"][1]),
        evidence=evidence,
        details={"measure": measure, "band": band, "n_epochs": dict(counts), "bands": bands},
        method=method,
    )


def _abstain(
    text: str,
    measure: str,
    evidence: tuple[float, float] | None,
    details: dict[str, Any] | None = None,
) -> Finding:
    return Finding(
        "network",
        "Network",
        None,
        "",
        text,
        evidence=evidence,
        details=details or {},
        method=METHOD.format(measure=measure),
    )
