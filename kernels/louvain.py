"""Modules of a weighted graph by the Louvain method (Blondel et al. 2008), deterministic.

Nodes are visited in order, and a tie keeps the node where it is or goes to the lowest module,
so that the same matrix always gives the same modules.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.kernels.jit import lazy_jit


@lazy_jit(["boolean(float64[:, ::1], float64, int64[::1])"], fastmath=False)
def _move_nodes(weights: Any, resolution: Any, module: Any) -> bool:
    """Move nodes to the module that raises modularity most until none gains; return if any did."""
    n = weights.shape[0]
    strength = np.zeros(n)
    for i in range(n):
        strength[i] = weights[i].sum()
    total = strength.sum()
    inside = np.zeros(n)
    for i in range(n):
        inside[module[i]] += strength[i]
    links = np.zeros(n)
    any_moved, moved = False, True
    while moved:
        moved = False
        for i in range(n):
            links[:] = 0.0
            for j in range(n):
                if j != i and weights[i, j] > 0.0:
                    links[module[j]] += weights[i, j]
            home = module[i]
            inside[home] -= strength[i]
            factor = resolution * strength[i] / total
            best, best_gain = home, links[home] - factor * inside[home]
            for m in range(n):
                gain = links[m] - factor * inside[m]
                if links[m] > 0.0 and gain > best_gain + 1e-12 * total:
                    best, best_gain = m, gain
            inside[best] += strength[i]
            if best != home:
                module[i] = best
                moved = any_moved = True
    return any_moved


def modularity(
    weights: npt.NDArray[np.float64], module: npt.NDArray[np.intp], resolution: float = 1.0
) -> float:
    """Return Newman's modularity of a partition; 0 for a graph without edges.

    Parameters
    ----------
    weights : float64 array, axes (node, node)
        Symmetric, not negative.
    module : int array, axes (node,)
        From 0 on.
    resolution : float
    """
    total = weights.sum()
    if total <= 0:
        return 0.0
    member = np.equal.outer(module, np.unique(module)).astype(np.float64)
    within = np.einsum("im,ij,jm->m", member, weights, member, optimize=True) / total
    share = weights.sum(axis=1) @ member / total
    return float(np.sum(within - resolution * np.square(share)))


def louvain(weights: npt.NDArray[np.float64], resolution: float = 1.0) -> npt.NDArray[np.intp]:
    """Return the module of every node, axes (node,), numbered by size from 0.

    Parameters
    ----------
    weights : float64 array, axes (node, node)
        Symmetric, not negative, zero diagonal.
    resolution : float
        Above 1 for smaller modules.

    Returns
    -------
    int array, axes (node,)
        A node without edges is a module of its own.
    """
    n = len(weights)
    module = np.arange(n)
    level = np.ascontiguousarray(weights, dtype=np.float64)
    while n and weights.sum() > 0:
        merged = np.arange(len(level))
        if not _move_nodes(level, resolution, merged):
            break
        _, merged = np.unique(merged, return_inverse=True)
        member = np.equal.outer(merged, np.arange(merged.max() + 1)).astype(np.float64)
        level = np.ascontiguousarray(member.T @ level @ member)
        module = merged[module]
    sizes = np.bincount(module, minlength=1)
    first = np.array([np.argmax(module == m) for m in range(len(sizes))]) if n else np.zeros(1)
    rank = np.empty(len(sizes), dtype=np.intp)
    rank[np.lexsort((first, -sizes))] = np.arange(len(sizes))
    return rank[module]
