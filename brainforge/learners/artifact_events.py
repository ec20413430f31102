"""Heartbeats and blinks: from their own channel where there is one, from components otherwise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from brainforge.info import Info
from brainforge.kernels.band_limit import band_limit
from brainforge.kernels.blink import find_blinks
from brainforge.kernels.classify import frontal_share
from brainforge.kernels.event_locked import locked_share
from brainforge.kernels.heartbeat import QRS_BAND, find_heartbeats
from brainforge.learners.traces import Array32, Index, Traces
from brainforge.result import EventTrain

Floats = npt.NDArray[np.float64]

#: seconds around a blink, and the band, in which a component has to repeat; the working copy's
#: own high-pass is the lower edge
BLINK_LAGS, BLINK_BAND = (-0.25, 0.35), (0.0, 10.0)
#: a component is the eyes' where its blinks stand out, are frontal and repeat
MIN_CONTRAST, MIN_CONTRAST_UNPLACED, MIN_FRONTAL, MIN_LOCKED = 6.0, 10.0, 0.4, 0.5
#: components with most contrast that are looked at closely
N_CANDIDATES = 5
#: components most peaked in the QRS band that are searched for a heart
N_SPIKY = 8


@dataclass(frozen=True)
class EventSource:
    """Where events are to be found: a reference channel, or a row of the components.

    Parameters
    ----------
    label : str
        For the reader.
    channel : str | None
    row : int | None
    """

    label: str
    channel: str | None = None
    row: int | None = None

    def trace(self, traces: Traces, row: int | None = None) -> tuple[Array32, Index]:
        """Return the trace and its runs; ``row`` where the traces hold only some components."""
        if self.channel is not None:
            return traces.references[self.channel], traces.reference_runs[self.channel]
        at = self.row if row is None else row
        return traces.x[at], traces.runs


def heart_source(traces: Traces, info: Info, what: str) -> EventSource | None:
    """Return what shows the heart best: an ECG channel, else a component; None for neither.

    Parameters
    ----------
    traces : Traces
        Components and references.
    info : Info
    what : str
        What the rows are, e.g. "independent component".
    """
    for candidates in (_channels(traces, info, "ecg"), _spiky_rows(traces, info, what)):
        best, most = None, 0.0
        for source in candidates:
            trace, runs = source.trace(traces)
            beats = find_heartbeats(trace, info.sfreq, runs=runs)
            if beats.plausible and beats.contrast * beats.shape > most:
                best, most = source, beats.contrast * beats.shape
        if best is not None:
            return best
    return None


def eye_source(
    traces: Traces, info: Info, what: str, topographies: Floats, positions: Floats
) -> EventSource | None:
    """Return what shows blinks best: an EOG channel, else a frontal component; None for neither.

    Parameters
    ----------
    traces : Traces
        Components and references.
    info : Info
    what : str
        What the rows are.
    topographies : float64 array, axes (channel, row)
        Of comparable scale between channels.
    positions : float64 array, axes (channel, xyz)
        y to the nose.
    """
    channels = _channels(traces, info, "eog")
    if channels:
        contrasts = []
        for source in channels:
            trace, runs = source.trace(traces)
            contrasts.append(find_blinks(trace, info.sfreq, runs=runs).contrast)
        return channels[int(np.argmax(contrasts))]
    found = [find_blinks(x, info.sfreq, runs=traces.runs) for x in traces.x]
    frontal = frontal_share(topographies, positions)
    best, most = None, 0.0
    for row in np.argsort([-b.contrast for b in found], kind="stable")[:N_CANDIDATES]:
        blinks, front = found[row], float(frontal[row])
        least = MIN_CONTRAST_UNPLACED if np.isnan(front) else MIN_CONTRAST
        if len(blinks.samples) < 2 or blinks.contrast < least or front < MIN_FRONTAL:
            continue
        share = locked_share(
            traces.x[row : row + 1], blinks.samples, info.sfreq, BLINK_BAND, BLINK_LAGS,
            runs=traces.runs,
        )  # fmt: skip
        score = blinks.contrast * (0.25 if np.isnan(front) else front)
        if share[0] >= MIN_LOCKED and score > most:
            best, most = _rows(traces, what)[row], score
    return best


def heart_train(
    source: EventSource | None, trace: Callable[[EventSource], tuple[Traces, int]], info: Info
) -> EventTrain:
    """Return the heartbeats of a source in absolute source samples."""
    if source is None:
        return EventTrain("ecg", np.zeros(0, np.int64), float("nan"), "no heart signal found")
    traces, row = trace(source)
    values, runs = source.trace(traces, row)
    beats = find_heartbeats(values, info.sfreq, runs=runs)
    samples = traces.absolute(beats.samples) * info.decim
    return EventTrain("ecg", samples, beats.rate_per_min, source.label)


def eye_train(
    source: EventSource | None, trace: Callable[[EventSource], tuple[Traces, int]], info: Info
) -> EventTrain:
    """Return the blinks of a source in absolute source samples."""
    if source is None:
        return EventTrain("eog", np.zeros(0, np.int64), 0.0, "no eye signal found")
    traces, row = trace(source)
    values, runs = source.trace(traces, row)
    blinks = find_blinks(values, info.sfreq, runs=runs).samples
    minutes = int(np.diff(runs, axis=1).sum()) / info.sfreq / 60
    rate = len(blinks) / minutes if minutes else float("nan")
    return EventTrain("eog", traces.absolute(blinks) * info.decim, rate, source.label)


def head_positions(info: Info, names: tuple[str, ...]) -> Floats:
    """Return positions with y to the nose: head frame where the transform is known."""
    positions = info.positions(names)
    if info.dev_head_t is None:
        return positions
    move = np.array(info.dev_head_t, dtype=np.float64)
    return positions @ move[:3, :3].T + move[:3, 3]


def _channels(traces: Traces, info: Info, kind: str) -> list[EventSource]:
    known = set(info.names_of(kind))
    return [EventSource(n, channel=n) for n in traces.references if n in known]


def _spiky_rows(traces: Traces, info: Info, what: str) -> list[EventSource]:
    """Return the rows that are most peaked in the QRS band: what beats is among them."""
    y = band_limit(traces.x, info.sfreq, *QRS_BAND, runs=traces.runs)
    square = np.square(y, out=y)
    mean = square.mean(axis=1, dtype=np.float64)
    fourth = np.einsum("ij,ij->i", square, square) / max(square.shape[1], 1)
    kurtosis = np.divide(fourth, mean**2, out=np.zeros(len(y)), where=mean > 0)
    rows = _rows(traces, what)
    return [rows[i] for i in np.argsort(-kurtosis, kind="stable")[:N_SPIKY]]


def _rows(traces: Traces, what: str) -> list[EventSource]:
    return [EventSource(f"{what} {i + 1}", row=i) for i in range(len(traces.x))]
