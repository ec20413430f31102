"""Artifact Subspace Reconstruction in float64: whole matrices, nothing skipped."""

from __future__ import annotations

import numpy as np
import scipy.linalg


def geometric_median(vectors, n=2000):
    """Weiszfeld on the vectors themselves."""
    median = vectors.mean(axis=0)
    for _ in range(n):
        distance = np.maximum(np.linalg.norm(vectors - median, axis=1), 1e-12)
        median = (vectors / distance[:, None]).sum(axis=0) / (1 / distance).sum()
    return median


def reconstruction(window, model):
    """Return the matrix that a shaped window (channel, sample) asks for."""
    covariance = window @ window.T / window.shape[1]
    down = model.components / model.scale
    within = down @ covariance @ down.T
    values, vectors = scipy.linalg.eigh(within, np.diag(model.thresholds**2))
    artifacts = np.diag(model.thresholds**2) @ vectors[:, values > model.level][:, -model.most :]
    blind = scipy.linalg.null_space(artifacts.T).T if artifacts.shape[1] else np.eye(len(within))
    clean = np.diag(model.variance)
    # the mean of clean components given what the artifacts do not reach
    estimate = clean @ blind.T @ np.linalg.pinv(blind @ clean @ blind.T) @ blind
    up = (model.components * model.scale).T
    return np.eye(len(model.scale)) + up @ (estimate - np.eye(len(within))) @ down
