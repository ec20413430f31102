"""A matrix product in float64, an output at a time."""

from __future__ import annotations

import numpy as np


def apply_reference(matrix, data):
    """Return ``matrix @ data`` in float64."""
    out = np.zeros((len(matrix), data.shape[1]))
    for i, row in enumerate(np.asarray(matrix, np.float64)):
        for j, weight in enumerate(row):
            out[i] += weight * data[j].astype(np.float64)
    return out
