"""Figures of bad channels from the samples themselves, plainly."""

from __future__ import annotations

import numpy as np


def prediction_reference(x, ridge):
    """Predict each row of ``x`` from the others by ridge regression on unit-power rows."""
    n = len(x)
    power = np.sqrt(np.mean(x**2, axis=1))
    z = x / power[:, None]
    weights, unexplained = np.zeros((n, n)), np.ones(n)
    for i in range(n):
        rest = [j for j in range(n) if j != i]
        if not rest:
            continue
        a = z[rest] @ z[rest].T / x.shape[1] + ridge * np.eye(n - 1)
        w = np.linalg.solve(a, z[rest] @ z[i] / x.shape[1])
        weights[rest, i] = w * power[i] / power[rest]
        unexplained[i] = np.mean((z[i] - w @ z[rest]) ** 2)
    return weights, unexplained


def lof_reference(x, k, epsilon=0.0):
    """Return local outlier factors of the rows of ``x`` by their definition."""
    n = len(x)
    distance = np.array([[np.linalg.norm(a - b) for b in x] for a in x])
    near = [
        sorted((j for j in range(n) if j != i), key=lambda j: distance[i, j])[:k] for i in range(n)
    ]
    far = [distance[i, near[i][-1]] for i in range(n)]
    density = [
        1 / (np.mean([max(far[j], distance[i, j]) for j in near[i]]) + epsilon) for i in range(n)
    ]
    return np.array([np.mean([density[j] for j in near[i]]) / density[i] for i in range(n)])


def gains_reference(parts, weights):
    """Return the regression coefficient of each channel on its prediction, a part at a time."""
    gains = np.zeros((len(parts), weights.shape[1]))
    for c, x in enumerate(parts):
        for i in range(weights.shape[1]):
            p = weights[:, i] @ x
            gains[c, i] = (x[i] @ p) / (p @ p)
    return gains
