"""Gram matrices in plain float64, a pair at a time."""

from __future__ import annotations

import numpy as np


def gram_reference(data, good=None, *, remove_mean=False):
    """Return sums of products and counts of jointly believed samples."""
    x = np.array(data, dtype=np.float64)
    good = np.ones(x.shape, bool) if good is None else good
    n = len(x)
    if remove_mean:
        for i in range(n):
            if good[i].any():
                x[i] -= x[i, good[i]].mean()
    sums, counts = np.zeros((n, n)), np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            both = good[i] & good[j]
            sums[i, j] = x[i, both] @ x[j, both]
            counts[i, j] = both.sum()
    return sums, counts
