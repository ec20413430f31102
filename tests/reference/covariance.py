"""Covariance by its definition, a pair at a time, in float64."""

from __future__ import annotations

import numpy as np


def covariance(data, good=None, ddof=1):
    """Return the covariance over the samples at which both channels are believed."""
    x = np.asarray(data, dtype=np.float64)
    good = np.ones(x.shape, bool) if good is None else good
    out = np.full((len(x), len(x)), np.nan)
    for i in range(len(x)):
        for j in range(len(x)):
            both = good[i] & good[j]
            n = int(both.sum())
            if n > ddof:
                a, b = x[i, both], x[j, both]
                out[i, j] = ((a - a.mean()) * (b - b.mean())).sum() / (n - ddof)
    return out
