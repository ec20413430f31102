"""Sums of stretches around events, one after the other."""

from __future__ import annotations

import numpy as np


def add_stretches(data, rows, begins, groups, sums):
    """Return the sums with the stretches added to those of their groups."""
    out = np.array(sums, dtype=np.float64)
    for begin, group in zip(begins, groups):
        for at, row in enumerate(rows):
            out[group, at] += np.asarray(data[row, begin : begin + out.shape[2]], dtype=np.float64)
    return out
