"""Kuiper's distance and its probability, written out; spaced peaks by comparing all pairs."""

from __future__ import annotations

import numpy as np


def kuiper(phases):
    """Return the Kuiper distance of a list of phases from the uniform distribution."""
    turns = sorted((p / (2 * np.pi)) % 1.0 for p in phases)
    n = len(turns)
    above = max((i + 1) / n - u for i, u in enumerate(turns))
    below = max(u - i / n for i, u in enumerate(turns))
    return above + below


def kuiper_p(distance, n):
    """Return the probability of at least this distance."""
    lam = distance * (np.sqrt(n) + 0.155 + 0.24 / np.sqrt(n))
    terms = [2 * (4 * j**2 * lam**2 - 1) * np.exp(-2 * j**2 * lam**2) for j in range(1, 100)]
    return min(sum(terms), 1.0)


def spaced_peaks(heights, samples, distance):
    """Return positions kept when the highest left is taken again and again."""
    left, kept = set(range(len(samples))), []
    while left:
        top = max(left, key=lambda i: (heights[i], -i))
        kept.append(top)
        left = {i for i in left if abs(samples[i] - samples[top]) >= distance and i != top}
    return sorted(kept)
