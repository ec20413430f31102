"""How strongly traces are locked to events: phase statistics and share of the power.

Cross-trial phase statistics as in Dammers et al. 2008, "Integration of amplitude and phase
statistics for complete artifact removal in independent components of neuromagnetic
recordings", IEEE Trans. Biomed. Eng. 55: the Kuiper distance of the phases at one lag, over
events, from a uniform distribution; its significance after Stephens 1970.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.errors import KernelInputError
from brainforge.kernels.band_limit import Runs, analytic_band, as_runs, band_limit
from brainforge.kernels.dispatch import kernel
from brainforge.kernels.parallel import parallel_map, slices
from brainforge.kernels.peaks import whole_windows, windows

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]

#: band of the phase statistics, in Hz
PHASE_BAND = (10.0, 20.0)
#: seconds around the event that are looked at, and that are cut out for the filter to settle
PHASE_LAGS, PHASE_PAD = 0.25, 0.5
#: events used at most, evenly spread: the statistics of a long recording need no more
MOST_EVENTS = 200
#: traces worked on at a time: their stretches stay in the second-level cache
ROWS = 4


@dataclass(frozen=True)
class PhaseStatistics:
    """Result of `phase_statistics`.

    Parameters
    ----------
    distance : float64 array, axes (trace,)
        Largest Kuiper distance over lags, 0..1: how far the phases are from uniform.
    log10_p : float64 array, axes (trace,)
        Its significance, log10 of the probability under uniform phases, times the number of
        lags that are independent.
    n_events : int
        Events used.
    """

    distance: Floats
    log10_p: Floats
    n_events: int


def kuiper(phases: Array) -> Floats:
    """Return the Kuiper distance of phases from a uniform distribution.

    Parameters
    ----------
    phases : float array, axes (event, ...)
        In radians.

    Returns
    -------
    float64 array, axes (...)
    """
    n = len(phases)
    if not n:
        raise KernelInputError(where="phases", expected="at least one event", got="none")
    turns = np.sort(np.mod(np.asarray(phases, dtype=np.float64) / (2 * np.pi), 1.0), axis=0)
    steps = np.arange(1, n + 1).reshape(-1, *([1] * (turns.ndim - 1))) / n
    above = np.max(steps - turns, axis=0)
    below = np.max(turns - (steps - 1 / n), axis=0)
    return above + below


def kuiper_log10_p(distance: Array, n: int) -> Floats:
    """Return log10 of the probability of a Kuiper distance this large (Stephens' form)."""
    root = np.sqrt(n)
    lam = np.asarray(distance, dtype=np.float64) * (root + 0.155 + 0.24 / root)
    # the first term of the series, in logarithms so that it does not underflow
    square = np.maximum(lam, 0.75) ** 2
    first = np.log(2 * (4 * square - 1)) - 2 * square
    later = sum(
        (4 * j**2 * square - 1) / (4 * square - 1) * np.exp(-2 * (j**2 - 1) * square)
        for j in range(2, 6)
    )
    return np.minimum((first + np.log1p(later)) / np.log(10), 0.0)


@kernel(device="brainforge.kernels.device.event_locked:phase_statistics", tolerance=1e-4)
def phase_statistics(
    x: Array, events: Index, sfreq: float, *, runs: Runs | None = None, n_threads: int = 1
) -> PhaseStatistics:
    """Return how consistent the phases of traces are around events.

    Parameters
    ----------
    x : float array, axes (trace, sample)
    events : int array, axes (event,)
        Columns of ``x``.
    sfreq : float
        In Hz.
    runs : int array, axes (run, start/stop) | None
        Continuous stretches; events nearer than 0.75 s to an end are left out.
    n_threads : int
        Threads over traces.

    Raises
    ------
    KernelInputError
        Traces that are not of two axes, or a rate below twice the band's upper edge.
    """
    samples = usable(x, events, sfreq, PHASE_LAGS + PHASE_PAD, runs)
    if len(samples) < 3:
        return PhaseStatistics(np.zeros(len(x)), np.zeros(len(x)), len(samples))
    half, pad = int((PHASE_LAGS + PHASE_PAD) * sfreq), int(PHASE_PAD * sfreq)

    def farthest(some: Array) -> Floats:
        cut, _ = windows(some, samples, half, half + 1)
        phases = np.angle(analytic_band(cut, sfreq, *PHASE_BAND)[..., pad:-pad])
        return kuiper(np.moveaxis(phases, 1, 0)).max(axis=-1, initial=0.0)

    distance = _by_rows(farthest, x, n_threads)
    return PhaseStatistics(distance, phase_log10_p(distance, len(samples)), len(samples))


def phase_log10_p(distance: Floats, n: int) -> Floats:
    """Return the significance of the largest of all lags' distances."""
    # lags within one period of the band's width are not independent
    tests = 2 * PHASE_LAGS * (PHASE_BAND[1] - PHASE_BAND[0])
    return np.minimum(kuiper_log10_p(distance, n) + np.log10(tests), 0.0)


@kernel(device="brainforge.kernels.device.event_locked:locked_share", tolerance=1e-5)
def locked_share(
    x: Array,
    events: Index,
    sfreq: float,
    band: tuple[float, float],
    lags: tuple[float, float],
    *,
    runs: Runs | None = None,
    n_threads: int = 1,
) -> Floats:
    """Return the share of each trace's power around events that repeats at every event.

    The power of the average, freed of what chance leaves in it, over the mean power of the
    single stretches: 0 for what is not locked, 1 for what repeats exactly.

    Parameters
    ----------
    x : float array, axes (trace, sample)
    events : int array, axes (event,)
    sfreq : float
    band : (low, high) in Hz
    lags : (first, last) in seconds
    runs : int array, axes (run, start/stop) | None
    n_threads : int
        Threads over traces.

    Returns
    -------
    float64 array, axes (trace,)
        0 where fewer than two events have a whole stretch.
    """
    reach = settling(band, lags)
    samples = usable(x, events, sfreq, reach, runs)
    n, half = len(samples), int(reach * sfreq)
    if n < 2:
        return np.zeros(len(x))
    near = slice(half + int(lags[0] * sfreq), half + int(lags[1] * sfreq) + 1)

    def share(some: Array) -> Floats:
        cut, _ = windows(some, samples, half, half + 1)
        limited = band_limit(cut, sfreq, *band)[..., near].astype(np.float64)
        single = (limited**2).mean(axis=(1, 2))
        average = (limited.mean(axis=1) ** 2).mean(axis=1)
        free = (average - single / n) / (1 - 1 / n)
        return np.divide(np.maximum(free, 0.0), single, out=np.zeros(len(some)), where=single > 0)

    return _by_rows(share, x, n_threads)


def settling(band: tuple[float, float], lags: tuple[float, float]) -> float:
    """Return seconds to cut out on either side of an event for lags in a band."""
    # the filter settles within a period of its lower edge, or about 1.5 of its upper one
    return max(-lags[0], lags[1]) + (1.0 / band[0] if band[0] else 1.5 / band[1])


def usable(x: Array, events: Index, sfreq: float, reach: float, runs: Runs | None) -> Index:
    """Return the events with ``reach`` seconds on either side in one run, `MOST_EVENTS` at most."""
    if x.ndim != 2:
        raise KernelInputError(
            where="x", expected="traces x samples", got=f"shape {tuple(x.shape)}"
        )
    events = np.asarray(events, dtype=np.int64)
    if len(events) > MOST_EVENTS:
        events = events[np.linspace(0, len(events) - 1, MOST_EVENTS).astype(np.int64)]
    half = int(reach * sfreq)
    return events[whole_windows(events, half, half + 1, as_runs(runs, x.shape[-1]))]


def _by_rows(figure: Callable[[Array], Floats], x: Array, n_threads: int) -> Floats:
    """Return a figure of each trace, a few traces at a time."""
    pieces = slices(len(x), -(-len(x) // ROWS))
    parts = parallel_map(lambda piece: figure(x[piece]), pieces, n_threads)
    return np.concatenate([np.zeros(0), *parts])
