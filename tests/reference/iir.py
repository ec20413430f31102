"""Biquads as difference equations in float64, one sample after the other."""

from __future__ import annotations

import numpy as np


def sosfilt(x, sos):
    """Filter (sample, channel) from rest, direct form I."""
    y = np.asarray(x, np.float64)
    for b0, b1, b2, _, a1, a2 in sos:
        u, y = y, np.zeros_like(y)
        for t in range(len(u)):
            y[t] = b0 * u[t]
            if t > 0:
                y[t] += b1 * u[t - 1] - a1 * y[t - 1]
            if t > 1:
                y[t] += b2 * u[t - 2] - a2 * y[t - 2]
    return y
