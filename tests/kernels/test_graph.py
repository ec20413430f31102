"""Graph metrics against networkx, and against graphs whose answers are known."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from brainforge.errors import KernelInputError
from brainforge.kernels.graph import (
    at_density,
    clustering,
    graph_metrics,
    local_efficiency,
    participation,
    path_lengths,
)
from brainforge.kernels.louvain import louvain, modularity

with warnings.catch_warnings():
    # networkx probes optional backends while it is imported
    warnings.simplefilter("ignore")
    import networkx as nx


def random_matrix(seed, n=40):
    w = np.random.default_rng(seed).random((n, n))
    w = np.triu(w, 1)
    return w + w.T


def as_graph(weights):
    graph = nx.from_numpy_array(weights)
    for _, _, edge in graph.edges(data=True):
        edge["length"] = 1 / edge["weight"]
    return graph


@pytest.mark.parametrize(
    "seed, n, density", [(0, 40, 0.1), (1, 41, 0.3), (2, 12, 1.0), (3, 30, 0.04)]
)
def test_agrees_with_networkx(seed, n, density):
    matrix = random_matrix(seed, n)
    weights = at_density(matrix, density)
    graph = as_graph(weights)
    metrics = graph_metrics(matrix.astype(np.float32), density)
    order = range(n)
    paths = dict(nx.all_pairs_dijkstra_path_length(graph, weight="length"))
    wanted = {
        "degree": [graph.degree(i) for i in order],
        "strength": [graph.degree(i, weight="weight") for i in order],
        "clustering": [nx.clustering(graph, weight="weight")[i] for i in order],
        "local_efficiency": [mean_efficiency(graph.subgraph(graph[i])) for i in order],
    }
    for name, value in wanted.items():
        np.testing.assert_allclose(metrics.nodal[name], value, atol=1e-5, err_msg=name)
    apart = [paths[i][j] for i in order for j in paths[i] if i != j]
    assert metrics.whole["path_length"] == pytest.approx(np.mean(apart), rel=1e-5)
    assert metrics.whole["efficiency"] == pytest.approx(mean_efficiency(graph), rel=1e-5)
    assert metrics.whole["connected"] == len(apart) / (n * (n - 1))
    assert metrics.whole["n_edges"] == graph.number_of_edges() == round(density * n * (n - 1) / 2)
    modules = [
        set(np.flatnonzero(metrics.nodal["module"] == m))
        for m in np.unique(metrics.nodal["module"])
    ]
    peer = nx.community.modularity(graph, modules, weight="weight")
    assert metrics.whole["modularity"] == pytest.approx(peer, abs=1e-5)
    rival = nx.community.louvain_communities(graph, weight="weight", seed=1)
    assert peer > nx.community.modularity(graph, rival, weight="weight") - 0.05


def mean_efficiency(graph):
    n = graph.number_of_nodes()
    if n < 2:
        return 0.0
    paths = nx.all_pairs_dijkstra_path_length(graph, weight="length")
    return sum(1 / d for i, to in paths for j, d in to.items() if i != j) / (n * (n - 1))


def test_shortest_paths_agree_with_scipy():
    from scipy.sparse.csgraph import dijkstra

    weights = at_density(random_matrix(5, 60), 0.05)
    lengths = np.divide(1.0, weights, out=np.zeros_like(weights), where=weights > 0)
    np.testing.assert_allclose(path_lengths(weights), dijkstra(lengths), rtol=1e-12)


def test_planted_modules_and_hub_are_found():
    rng = np.random.default_rng(7)
    home = np.repeat([0, 1, 2], [30, 20, 10])
    matrix = 0.1 * rng.random((60, 60)) + 0.9 * np.equal.outer(home, home) * rng.random((60, 60))
    matrix[7] += 2.0
    matrix = np.triu(matrix, 1)
    matrix += matrix.T
    metrics = graph_metrics(matrix, 0.3)
    others = np.arange(60) != 7
    np.testing.assert_array_equal(metrics.nodal["module"][others], home[others])
    assert metrics.hubs[0] == 7
    assert metrics.nodal["participation"].argmax() == 7


def test_ring_and_complete_graph():
    ring = np.roll(np.eye(8), 1, axis=1) * 0.5
    ring += ring.T
    lengths = path_lengths(ring)
    np.testing.assert_allclose(lengths[0], [0, 2, 4, 6, 8, 6, 4, 2])
    assert not clustering(ring).any()
    assert not local_efficiency(ring).any()
    full = np.full((5, 5), 0.25) - 0.25 * np.eye(5)
    np.testing.assert_allclose(clustering(full), 1.0)
    np.testing.assert_allclose(local_efficiency(full), 0.25)
    assert graph_metrics(full, 1.0).whole["path_length"] == pytest.approx(4.0)
    np.testing.assert_allclose(participation(full, np.zeros(5, dtype=int)), 0.0)


def test_weights_that_are_not_positive_are_no_edges():
    matrix = random_matrix(3, 10) - 0.95
    np.fill_diagonal(matrix, 5.0)
    kept = at_density(matrix, 1.0)
    assert not np.diagonal(kept).any()
    assert np.count_nonzero(kept) == np.count_nonzero(matrix > 0) - 10
    nothing = graph_metrics(np.zeros((6, 6)))
    assert nothing.whole["efficiency"] == 0
    assert nothing.whole["modularity"] == 0
    assert np.isnan(nothing.whole["path_length"])
    assert nothing.hubs == ()


@pytest.mark.parametrize("n", [0, 1, 2])
def test_tiny_graphs(n):
    metrics = graph_metrics(random_matrix(0, n), 1.0)
    assert len(metrics.nodal["strength"]) == n
    assert metrics.whole["n_edges"] == n // 2


def test_modules_do_not_depend_on_chance():
    weights = at_density(random_matrix(11, 50), 0.2)
    np.testing.assert_array_equal(louvain(weights), louvain(weights.copy()))
    module = louvain(weights)
    assert modularity(weights, module) > modularity(weights, np.arange(50))
    assert (np.diff(np.bincount(module)) <= 0).all()


def test_bad_input_is_named():
    with pytest.raises(KernelInputError, match="node x node"):
        graph_metrics(np.zeros((3, 4)))
    with pytest.raises(KernelInputError, match="both directions"):
        graph_metrics(np.triu(np.ones((4, 4)), 1))
    with pytest.raises(KernelInputError, match="finite weights"):
        graph_metrics(np.full((3, 3), np.nan))
    with pytest.raises(KernelInputError, match="density"):
        graph_metrics(np.ones((3, 3)), 0.0)
