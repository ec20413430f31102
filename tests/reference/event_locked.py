"""Kuiper's distance and its probability, written out; spaced peaks by comparing all pairs."""

from __future__ import annotations

import numpy as np

from brainforge.kernels.event_locked import PhaseStatistics
from tests.reference.band_limit import analytic_band, band_limit


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


def _stretches(x, events, half, runs):
    """Return the stretches of events that have a whole one, axes (event, trace, lag)."""
    bounds = [(0, x.shape[1])] if runs is None else runs
    whole = [e for e in events if any(a <= e - half and e + half + 1 <= b for a, b in bounds)]
    cut = [np.asarray(x[:, e - half : e + half + 1], dtype=np.float64) for e in whole]
    return np.array(cut).reshape(len(whole), len(x), 2 * half + 1)


def phase_statistics(x, events, sfreq, *, runs=None):
    """Return the largest Kuiper distance of 10-20 Hz phases within 0.25 s, and log10 of its p."""
    cut = _stretches(x, events, int(0.75 * sfreq), runs)
    n, pad = len(cut), int(0.5 * sfreq)
    distance, log10_p = np.zeros(len(x)), np.zeros(len(x))
    for trace in range(len(x) if n >= 3 else 0):
        phases = np.angle(analytic_band(cut[:, trace], sfreq, 10.0, 20.0)[:, pad:-pad])
        distance[trace] = max(kuiper(phases[:, lag]) for lag in range(phases.shape[1]))
        log10_p[trace] = min(np.log10(kuiper_p(distance[trace], n)) + np.log10(5.0), 0.0)
    return PhaseStatistics(distance, log10_p, n)


def locked_share(x, events, sfreq, band, lags, *, runs=None):
    """Return the power of the average, less what chance leaves, over that of single stretches."""
    reach = max(-lags[0], lags[1]) + (1.0 / band[0] if band[0] else 1.5 / band[1])
    half = int(reach * sfreq)
    cut = _stretches(x, events, half, runs)
    n, out = len(cut), np.zeros(len(x))
    for trace in range(len(x) if n >= 2 else 0):
        near = band_limit(cut[:, trace], sfreq, *band)
        near = near[:, half + int(lags[0] * sfreq) : half + int(lags[1] * sfreq) + 1]
        single, average = (near**2).mean(), (near.mean(axis=0) ** 2).mean()
        out[trace] = max((average - single / n) / (1 - 1 / n), 0.0) / single
    return out
