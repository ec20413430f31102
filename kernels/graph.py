"""Graph metrics of a connectivity matrix at a fixed density (Rubinov & Sporns 2010).

The strongest edges are kept with their weights. The length of an edge is 1 / weight; a path's
length is the sum of its edges', and the efficiency of a pair is 1 / length of its shortest path.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.errors import KernelInputError
from brainforge.kernels.jit import lazy_jit
from brainforge.kernels.louvain import louvain, modularity

Matrix = npt.NDArray[np.float64]

#: deviations above the mean strength from which on a node is a hub
_HUB = 1.5


@dataclass(frozen=True)
class GraphMetrics:
    """Metrics of one graph.

    ``nodal[metric]`` has axes (node,): degree, strength, clustering, local_efficiency,
    participation, module. ``whole[metric]``: efficiency, path_length (over the pairs that a
    path joins; NaN without any), connected (their share), clustering (mean), modularity,
    n_modules, n_edges. ``hubs`` are node indices, strongest first.
    """

    nodal: dict[str, npt.NDArray[Any]]
    whole: dict[str, float]
    hubs: tuple[int, ...]


def _checked(matrix: npt.NDArray[Any]) -> Matrix:
    square = np.asarray(matrix)
    if square.ndim != 2 or square.shape[0] != square.shape[1] or np.iscomplexobj(square):
        raise KernelInputError(
            where="matrix", expected="a real node x node matrix", got=f"shape {square.shape}"
        )
    values = square.astype(np.float64)
    if not np.isfinite(values).all():
        raise KernelInputError(where="matrix", expected="finite weights", got="NaN or infinity")
    if not np.allclose(values, values.T, rtol=0, atol=1e-6 * np.abs(values).max(initial=0.0)):
        raise KernelInputError(
            where="matrix",
            expected="the same weight in both directions",
            got="a directed measure",
            fix="take the absolute values of imcoh, or an undirected measure",
        )
    return values


def at_density(matrix: npt.NDArray[Any], density: float = 0.1) -> Matrix:
    """Keep the strongest edges, at most ``density`` of all pairs.

    Parameters
    ----------
    matrix : array, axes (node, node)
        Symmetric weights. The diagonal and weights that are not positive are never kept.
    density : float
        Above 0, up to 1.

    Returns
    -------
    float64 array, axes (node, node)
        The kept weights, zero elsewhere. Of equal weights the pair that comes first is kept.
    """
    values = _checked(matrix)
    if not 0 < density <= 1:
        raise KernelInputError(where="density", expected="above 0, up to 1", got=f"{density:g}")
    n = len(values)
    first, second = np.triu_indices(n, 1)
    weights = values[first, second]
    wanted = round(density * len(weights))
    best = np.argsort(-weights, kind="stable")[:wanted]
    best = best[weights[best] > 0]
    kept = np.zeros((n, n))
    kept[first[best], second[best]] = weights[best]
    return kept + kept.T


@lazy_jit(["void(float64[:, ::1])"], fastmath=False)
def _floyd_warshall(lengths: Any) -> None:
    """Replace edge lengths (infinite where none) by lengths of shortest paths."""
    n = lengths.shape[0]
    for k in range(n):
        through = lengths[k]
        for i in range(n):
            to_k = lengths[i, k]
            if to_k < np.inf:
                row = lengths[i]
                for j in range(n):
                    path = to_k + through[j]
                    row[j] = path if path < row[j] else row[j]


@lazy_jit(["void(float64[:, ::1], float64[::1])"], fastmath=False)
def _local_efficiency(lengths: Any, out: Any) -> None:
    """Fill out with the mean of 1 / path length among each node's neighbours, without it."""
    n = lengths.shape[0]
    near = np.empty(n, dtype=np.int64)
    for node in range(n):
        k = 0
        for j in range(n):
            if j != node and lengths[node, j] < np.inf:
                near[k] = j
                k += 1
        sub = np.empty((k, k))
        for a in range(k):
            for b in range(k):
                sub[a, b] = lengths[near[a], near[b]]
        for via in range(k):
            for a in range(k):
                to_via = sub[a, via]
                if to_via < np.inf:
                    for b in range(k):
                        path = to_via + sub[via, b]
                        sub[a, b] = path if path < sub[a, b] else sub[a, b]
        total = 0.0
        for a in range(k):
            for b in range(k):
                if a != b:
                    total += 1.0 / sub[a, b]
        out[node] = total / (k * (k - 1)) if k > 1 else 0.0


def edge_lengths(weights: Matrix) -> Matrix:
    """Return 1 / weight, infinite where there is no edge, 0 on the diagonal."""
    lengths = np.full(weights.shape, np.inf)
    np.divide(1.0, weights, out=lengths, where=weights > 0)
    np.fill_diagonal(lengths, 0.0)
    return lengths


def path_lengths(weights: Matrix) -> Matrix:
    """Return the lengths of the shortest paths, infinite where none, axes (node, node)."""
    lengths = edge_lengths(weights)
    _floyd_warshall(lengths)
    return lengths


def local_efficiency(weights: Matrix) -> npt.NDArray[np.float64]:
    """Return the mean efficiency among each node's neighbours with the node taken out."""
    out = np.zeros(len(weights))
    _local_efficiency(edge_lengths(weights), out)
    return out


def clustering(weights: Matrix) -> npt.NDArray[np.float64]:
    """Return weighted clustering (Onnela et al. 2005), axes (node,), 0 to 1.

    The mean over pairs of neighbours of the cube root of the triangle's weights, each over the
    greatest weight of the graph; 0 with fewer than two neighbours.
    """
    roots = np.cbrt(weights / max(weights.max(initial=0.0), np.finfo(float).tiny))
    triangles = np.einsum("ij,ji->i", roots @ roots, roots)
    degree = np.count_nonzero(weights, axis=1)
    pairs = degree * (degree - 1.0)
    return np.divide(triangles, pairs, out=np.zeros(len(weights)), where=pairs > 0)


def participation(weights: Matrix, module: npt.NDArray[np.intp]) -> npt.NDArray[np.float64]:
    """Return how evenly each node's strength spreads over modules, axes (node,), 0 to 1."""
    member = np.equal.outer(module, np.unique(module)).astype(np.float64)
    strength = weights.sum(axis=1)
    share = np.divide(
        weights @ member,
        strength[:, None],
        out=np.zeros(member.shape),
        where=strength[:, None] > 0,
    )
    return np.where(strength > 0, 1.0 - np.square(share).sum(axis=1), 0.0)


def graph_metrics(matrix: npt.NDArray[Any], density: float = 0.1) -> GraphMetrics:
    """Return the metrics of a connectivity matrix at a fixed density.

    Parameters
    ----------
    matrix : array, axes (node, node)
        Symmetric; see `at_density`.
    density : float
        Share of all pairs to keep.

    Raises
    ------
    KernelInputError
        For a matrix that is not square, real, finite and symmetric, or an impossible density.
    """
    weights = at_density(matrix, density)
    n = len(weights)
    strength, degree = weights.sum(axis=1), np.count_nonzero(weights, axis=1)
    module = louvain(weights)
    lengths = path_lengths(weights)
    apart = lengths[~np.eye(n, dtype=bool)]
    joined = apart[np.isfinite(apart)]
    clusters = clustering(weights)
    limit = strength.mean() + _HUB * strength.std() if n else 0.0
    hubs = [int(i) for i in np.argsort(-strength, kind="stable") if strength[i] > limit]
    nodal: dict[str, npt.NDArray[Any]] = {
        "degree": degree,
        "strength": strength,
        "clustering": clusters,
        "local_efficiency": local_efficiency(weights),
        "participation": participation(weights, module),
        "module": module,
    }
    whole = {
        "efficiency": float((1.0 / joined).sum() / len(apart)) if len(apart) else 0.0,
        "path_length": float(joined.mean()) if len(joined) else float("nan"),
        "connected": len(joined) / len(apart) if len(apart) else 0.0,
        "clustering": float(clusters.mean()) if n else 0.0,
        "modularity": modularity(weights, module),
        "n_modules": float(len(np.unique(module))),
        "n_edges": float(degree.sum() // 2),
    }
    return GraphMetrics(nodal, whole, tuple(hubs))
