"""Heart rate from the heartbeats found."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from brainforge.finding import Finding
from brainforge.findings.intervals import median_interval
from brainforge.result import EventTrain

_MIN_BEATS = 5
METHOD = (
    "60 s over the median interval between neighbouring beats (intervals across gaps left "
    "out); 95 % interval by order statistics of the median (Conover 1999)"
)


def heart_rate(
    train: EventTrain | None,
    sfreq: float,
    *,
    gaps: Iterable[tuple[int, int]] = (),
    evidence: tuple[float, float] | None = None,
) -> Finding:
    """Give the median heart rate in beats per minute.

    Parameters
    ----------
    train : EventTrain | None
        Heartbeats; samples at the source's rate.
    sfreq : float
        The source's rate, Hz.
    gaps : iterable of tuple of 2 int
        Stretches without samples, source samples, stop exclusive.
    evidence : tuple of 2 float | None

    Notes
    -----
    Abstains below five beats.
    """
    beats = np.sort(np.asarray(train.samples)) if train is not None else np.zeros(0)
    name, title, unit = "heart_rate", "Heart rate", "1/min"
    if len(beats) < _MIN_BEATS:
        text = f"Only {len(beats)} heartbeats were found; {_MIN_BEATS} are needed."
        return Finding(name, title, None, unit, text, evidence=evidence, method=METHOD)
    intervals = np.diff(beats) / sfreq
    whole = np.ones(len(intervals), dtype=bool)
    for start, stop in gaps:
        whole &= ~((beats[:-1] < stop) & (beats[1:] > start))
    intervals = intervals[whole & (intervals > 0)]
    if len(intervals) < _MIN_BEATS - 1:
        text = f"Gaps leave only {len(intervals)} intervals between heartbeats."
        return Finding(name, title, None, unit, text, evidence=evidence, method=METHOD)
    rate = float(60 / np.median(intervals))
    spread = median_interval(intervals)
    source = f" in {train.source}" if train is not None and train.source else ""
    text = f"The heart beat {rate:.0f} times a minute ({len(beats)} beats found{source})."
    return Finding(
        name,
        title,
        rate,
        unit,
        text,
        uncertainty=None if spread is None else (60 / spread[1], 60 / spread[0]),
        evidence=evidence,
        details={
            "n_beats": len(beats),
            "n_intervals": len(intervals),
            "interval_sd_ms": float(1000 * intervals.std()),
        },
        method=METHOD,
    )
