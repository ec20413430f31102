"""LCMV one source at a time; the orientation by looking at all of them."""

from __future__ import annotations

import numpy as np


def lcmv_reference(leadfield, covariance, reg, rank, weight_norm):
    """Return weights (source, channel) and power-maximal orientations on a fine grid."""
    u, s, _ = np.linalg.svd(covariance)
    loaded = s[:rank] + reg * s.mean()
    inverse = (u[:, :rank] / loaded) @ u[:, :rank].T
    polar, azimuth = np.meshgrid(np.linspace(0, np.pi / 2, 181), np.linspace(0, 2 * np.pi, 721))
    tries = np.stack(
        [np.sin(polar) * np.cos(azimuth), np.sin(polar) * np.sin(azimuth), np.cos(polar)], axis=-1
    ).reshape(-1, 3)
    weights, orientations = [], []
    for source in range(leadfield.shape[1]):
        fields = leadfield[:, source] @ tries.T
        filters = inverse @ fields
        if weight_norm == "unit-gain":
            filters = filters / np.sum(fields * filters, axis=0)
        else:
            filters = filters / np.linalg.norm(filters, axis=0)
        # power under the regularised covariance, which is what the filters minimise
        power = np.sum(filters * ((u[:, :rank] * loaded) @ u[:, :rank].T @ filters), axis=0)
        best = int(np.argmax(power))
        weights.append(filters[:, best])
        orientations.append(tries[best])
    return np.array(weights), np.array(orientations)
