"""Peaks of a trace that keep a distance from each other, and windows around events."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.kernels.band_limit import Runs, as_runs
from brainforge.kernels.jit import lazy_jit
from brainforge.kernels.namespace import is_device, namespace, to_device

Array = npt.NDArray[Any]
Index = npt.NDArray[np.int64]


def local_maxima(x: Array, floor: float | Array, runs: Runs | None = None) -> Index:
    """Return samples above ``floor`` that no neighbour in their run exceeds.

    Parameters
    ----------
    x : float array, axes (sample,)
    floor : float | array, axes (sample,)
    runs : int array, axes (run, start/stop) | None
    """
    inside = np.zeros(len(x), dtype=bool)
    first, last = np.zeros(len(x), dtype=bool), np.zeros(len(x), dtype=bool)
    for start, stop in as_runs(runs, len(x)):
        inside[start:stop] = True
        if stop > start:
            first[start] = last[stop - 1] = True
    rises = np.r_[True, x[1:] > x[:-1]] | first
    falls = np.r_[x[:-1] >= x[1:], True] | last
    return np.flatnonzero(rises & falls & inside & (x > floor))


def spaced_peaks(heights: Array, samples: Index, distance: int) -> Index:
    """Return which peaks to keep so that no two are nearer than ``distance``; the higher wins.

    Parameters
    ----------
    heights : float array, axes (peak,)
    samples : int array, axes (peak,)
        Rising.
    distance : int
        In samples.

    Returns
    -------
    int array
        Positions within ``samples``, rising.
    """
    samples = np.ascontiguousarray(samples, dtype=np.int64)
    keep = np.ones(len(samples), dtype=np.bool_)
    order = np.argsort(-np.asarray(heights), kind="stable")
    drop_neighbours(samples, order, distance, keep)
    return np.flatnonzero(keep)


@lazy_jit(["void(int64[::1], int64[::1], int64, boolean[::1])"])
def drop_neighbours(samples: Any, order: Any, distance: Any, keep: Any) -> None:
    """Go through peaks in ``order``; unmark those nearer than ``distance`` to one that stands."""
    for at in order:
        if not keep[at]:
            continue
        before = at - 1
        while before >= 0 and samples[at] - samples[before] < distance:
            keep[before] = False
            before -= 1
        after = at + 1
        while after < len(samples) and samples[after] - samples[at] < distance:
            keep[after] = False
            after += 1


def windows(
    x: Array, samples: Index, before: int, after: int, runs: Runs | None = None
) -> tuple[Array, Index]:
    """Return stretches around events and the positions of the events that have a whole one.

    Parameters
    ----------
    x : float array, axes (..., sample)
    samples : int array, axes (event,)
    before, after : int
        Samples before the event and from the event on.
    runs : int array, axes (run, start/stop) | None
        A stretch must lie within one run.

    Returns
    -------
    stretches : array, axes (..., event, lag)
    kept : int array
        Positions within ``samples``.
    """
    samples = np.asarray(samples, dtype=np.int64)
    kept = whole_windows(samples, before, after, as_runs(runs, x.shape[-1]))
    at = samples[kept][:, None] + np.arange(-before, after)
    if is_device(x):
        xp = namespace(x)
        cut = xp.take(x, to_device(at.reshape(-1), like=x), axis=x.ndim - 1)
        return xp.reshape(cut, (*x.shape[:-1], *at.shape)), kept
    return x[..., at], kept


def whole_windows(samples: Index, before: int, after: int, runs: Runs) -> Index:
    """Return the positions of the events whose stretches lie within one run."""
    if not len(runs) or not len(samples):
        return np.zeros(0, np.int64)
    run = np.clip(np.searchsorted(runs[:, 0], samples, side="right") - 1, 0, None)
    whole = (samples - before >= runs[run, 0]) & (samples + after <= runs[run, 1])
    return np.flatnonzero(whole)
