"""Heartbeats and blinks: from their own channel where there is one, from components otherwise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from brainforge.info import Info
from brainforge.kernels.apply import apply_matrix
from brainforge.kernels.band_limit import band_limit
from brainforge.kernels.blink import BLINK_BAND as SEARCHED
from brainforge.kernels.blink import Blinks, find_blinks
from brainforge.kernels.classify import frontal_share
from brainforge.kernels.event_locked import locked_share
from brainforge.kernels.heartbeat import QRS_BAND, Heartbeats, find_heartbeats
from brainforge.kernels.namespace import namespace, to_host
from brainforge.kernels.parallel import parallel_map
from brainforge.kernels.peaks import windows
from brainforge.learners.traces import Array32, Index, Traces, mean_products
from brainforge.result import EventTrain

Floats = npt.NDArray[np.float64]
#: traces of a whole recording, the one that was asked for, and its runs
Trace = tuple[Traces, Array32, Index]

#: seconds around a blink, and the band, in which a component has to repeat; the working copy's
#: own high-pass is the lower edge
BLINK_LAGS, BLINK_BAND = (-0.25, 0.35), (0.0, 10.0)
#: a component is the eyes' where its blinks stand out, are frontal and repeat
MIN_CONTRAST, MIN_CONTRAST_UNPLACED, MIN_FRONTAL, MIN_LOCKED = 6.0, 10.0, 0.4, 0.5
#: a rhythm, or a jump once it is high-passed, goes as far down as up (0.5), a blink does not;
#: less is asked of faint ones, for noise deepens their troughs
MIN_ONE_SIDED, FAINT_ONE_SIDED = 0.62, 0.57
#: a component whose blinks stand out less is the eyes' all the same where there are several,
#: and where it is the more frontal and repeats the better
FAINT_CONTRAST, FAINT_EVENTS = 4.0, 5
FAINT_FRONTAL, FAINT_LOCKED = 0.5, 0.7
PLAIN, FAINT = 2, 1
#: components most peaked in the QRS band that are searched for a heart
N_SPIKY = 8


@dataclass(frozen=True)
class EventSource:
    """Where events are to be found: a reference channel, or a weighted sum of components.

    Parameters
    ----------
    label : str
        For the reader.
    channel : str
    weights : float64 array, axes (component,) | None
        None for a channel.
    """

    label: str
    channel: str = ""
    weights: Floats | None = None

    def trace(self, traces: Traces) -> tuple[Array32, Index]:
        """Return the trace, brought home, and its runs."""
        if self.weights is None:
            found = traces.references[self.channel]
            return to_host(found), traces.reference_runs[self.channel]
        return to_host(apply_matrix(self.weights[None], traces.x))[0], traces.runs


def heart_source(traces: Traces, info: Info, what: str, n_threads: int = 1) -> EventSource | None:
    """Return what shows the heart best: an ECG channel, else a component; None for neither.

    Parameters
    ----------
    traces : Traces
        Components and references.
    info : Info
    what : str
        What the rows are, e.g. "independent component".
    n_threads : int
        Threads over candidates.
    """

    def beats_of(source: EventSource) -> Heartbeats:
        trace, runs = source.trace(traces)
        return find_heartbeats(trace, info.sfreq, runs=runs)

    for find in (_channels, _spiky_rows):
        candidates = find(traces, info, "ecg" if find is _channels else what)
        best, most = None, 0.0
        for source, beats in zip(candidates, parallel_map(beats_of, candidates, n_threads)):
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
    rows = _rows(traces, what)
    best, most, seen = None, (0, 0.0), Blinks(np.zeros(0, np.int64), 0.0, 1)
    for row, front in enumerate(frontal_share(topographies, positions)):
        if front < MIN_FRONTAL:
            continue
        blinks = find_blinks(to_host(traces.x[row, :]), info.sfreq, runs=traces.runs)
        grade = _grade(traces, row, blinks, float(front), info.sfreq)
        if grade > most:
            best, most, seen = rows[row], grade, blinks
    faint = best is not None and most[0] < PLAIN
    return _sharpened(best, traces, seen, info.sfreq) if best and faint else best


def _grade(
    traces: Traces, row: int, blinks: Blinks, front: float, sfreq: float
) -> tuple[int, float]:
    """Return how well a component shows blinks: `PLAIN`, `FAINT` or 0, and a score within."""
    plain = (
        len(blinks.samples) >= 2
        and blinks.contrast >= (MIN_CONTRAST_UNPLACED if np.isnan(front) else MIN_CONTRAST)
        and blinks.one_sided >= MIN_ONE_SIDED
    )
    faint = (
        blinks.contrast >= FAINT_CONTRAST
        and len(blinks.samples) >= FAINT_EVENTS
        and blinks.one_sided >= FAINT_ONE_SIDED
        and front >= FAINT_FRONTAL
    )
    if not (plain or faint):
        return 0, 0.0
    x = traces.x[row : row + 1, :]
    share = locked_share(x, blinks.samples, sfreq, BLINK_BAND, BLINK_LAGS, runs=traces.runs)[0]
    score = blinks.contrast * (0.25 if np.isnan(front) else front)
    if plain and share >= MIN_LOCKED:
        return PLAIN, score
    return (FAINT, score) if faint and share >= FAINT_LOCKED else (0, 0.0)


def _sharpened(source: EventSource, traces: Traces, blinks: Blinks, sfreq: float) -> EventSource:
    """Return the sum of components in which the blinks found stand out most.

    The field of their average over the covariance in the band that is searched: what lets
    through least of everything else. Few components share a field whole in a short recording.
    """
    weights = source.weights
    if weights is None:
        return source
    y = band_limit(traces.x, sfreq, *SEARCHED, runs=traces.runs)
    before, after = round(-BLINK_LAGS[0] * sfreq), round(BLINK_LAGS[1] * sfreq)
    cut, kept = windows(y, blinks.samples, before, after, traces.runs)
    if len(kept) < FAINT_EVENTS:
        return source
    average = to_host(cut).mean(axis=1, dtype=np.float64)
    field = average @ (weights @ average)
    sharp = np.linalg.solve(mean_products(y), field)
    best = replace(source, weights=sharp / np.linalg.norm(sharp))
    better = find_blinks(best.trace(traces)[0], sfreq, runs=traces.runs)
    enough = len(better.samples) >= len(blinks.samples) and better.contrast >= FAINT_CONTRAST
    return replace(best, label=f"{source.label}, sharpened on its blinks") if enough else source


def heart_train(
    source: EventSource | None, trace: Callable[[EventSource], Trace], info: Info
) -> EventTrain:
    """Return the heartbeats of a source in absolute source samples."""
    if source is None:
        return EventTrain("ecg", np.zeros(0, np.int64), float("nan"), "no heart signal found")
    traces, values, runs = trace(source)
    beats = find_heartbeats(values, info.sfreq, runs=runs)
    samples = traces.absolute(beats.samples) * info.decim
    return EventTrain("ecg", samples, beats.rate_per_min, source.label)


def eye_train(
    source: EventSource | None, trace: Callable[[EventSource], Trace], info: Info
) -> EventTrain:
    """Return the blinks of a source in absolute source samples."""
    if source is None:
        return EventTrain("eog", np.zeros(0, np.int64), 0.0, "no eye signal found")
    traces, values, runs = trace(source)
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
    xp, size = namespace(y), max(y.shape[1], 1)
    square = y * y
    mean = to_host(xp.sum(square, axis=1, dtype=xp.float64)) / size
    fourth = to_host(xp.sum(square * square, axis=1, dtype=xp.float64)) / size
    kurtosis = np.divide(fourth, mean**2, out=np.zeros(len(mean)), where=mean > 0)
    rows = _rows(traces, what)
    return [rows[i] for i in np.argsort(-kurtosis, kind="stable")[:N_SPIKY]]


def _rows(traces: Traces, what: str) -> list[EventSource]:
    unit = np.eye(traces.x.shape[0])
    return [EventSource(f"{what} {i + 1}", weights=row) for i, row in enumerate(unit)]
