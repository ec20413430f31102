"""Event-locked averages before and after cleaning, and how much of them is gone.

Averaging, filtering and the operators are all linear, so the channels as they are get averaged
once, in one pass, and the operators and the 40 Hz low-pass are applied to the averages.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.errors import InputError
from brainforge.kernels.band_limit import band_limit
from brainforge.kernels.event_sums import add_stretches
from brainforge.kernels.namespace import namespace, rows_of, to_device, to_host
from brainforge.kernels.parallel import single_threaded_blas
from brainforge.learners.traces import Working, believed, used_columns
from brainforge.operator import Operator
from brainforge.result import EventTrain
from brainforge.units import MEG_KINDS

#: the averages are low-passed here; the working copy is high-passed at 1 Hz already
H_FREQ = 40.0
#: seconds around the lags for the low-pass to settle
PAD = 0.15
N_MOST_AFFECTED = 10

Floats = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]


@dataclass(frozen=True)
class _Sums:
    """Sums of stretches around even and odd events, axes (even/odd, channel, lag)."""

    sums: Floats
    n: int


def locked_reduction(
    working: Working,
    operator_before: Operator,
    operator_after: Operator,
    trains: Sequence[EventTrain],
    *,
    lags: tuple[float, float] = (-0.3, 0.5),
    n_threads: int = 1,
) -> tuple[EventTrain, ...]:
    """Return the trains with their averages before and after cleaning, and the reduction.

    Parameters
    ----------
    working : working copy
        High-passed at 1 Hz.
    operator_before, operator_after : Operator
        Over the same MEG channels; what makes the field-corrected and the cleaned signal of the
        working copy.
    trains : sequence of EventTrain
        Their ``samples`` are absolute source samples.
    lags : (first, last) in seconds
    n_threads : int

    Returns
    -------
    tuple of EventTrain
        With ``average_before``, ``average_after`` (channel, lag; working units, up to 40 Hz),
        ``lags``, ``channel_names`` (those of ``operator_before`` that it computes from others or
        keeps) and ``reduction_db``: the peak over lags of the RMS over the ten channels most
        affected before cleaning, as a ratio in dB. Kinds of sensor are made comparable by the
        noise of their averages (half the difference between even and odd events). A train
        without a usable event comes back as it is.

    Raises
    ------
    InputError
        Where the operators are over different channels, or the lags are out of order.
    """
    if set(operator_before.names) != set(operator_after.names):
        raise InputError(
            where="operator_after", expected="the channels of operator_before", got="others"
        )
    if not lags[0] < lags[1]:
        raise InputError(where="lags", expected="first below last", got=f"{lags}")
    info = working.info.pick(operator_before.names)
    before, after = operator_before.matrix, operator_after.pick(operator_before.names).matrix
    used = used_columns(before) | used_columns(after)
    needed = tuple(n for n, u in zip(info.names, used) if u)
    sfreq, decim = working.info.sfreq, working.info.decim
    first, last = round((lags[0] - PAD) * sfreq), round((lags[1] + PAD) * sfreq) + 1
    events = [np.sort(np.asarray(t.samples, dtype=np.int64)) // decim for t in trains]
    sums = _accumulate(working, info.names, needed, events, first, last, n_threads)
    shown = np.array([c.kind in MEG_KINDS and not c.bad for c in info.channels], dtype=bool)
    shown &= np.any(before != 0, axis=1)
    names = tuple(n for n, s in zip(info.names, shown) if s)
    kinds = np.array([c.kind for c, s in zip(info.channels, shown) if s])
    pad = round(PAD * sfreq)
    times = (np.arange(first, last) / sfreq)[pad:-pad]
    out = []
    for train, part in zip(trains, sums):
        if part.n and names:
            raw = np.stack([part.sums.sum(axis=0), part.sums[0] - part.sums[1]]) / part.n
            low = band_limit(raw, sfreq, 0.0, H_FREQ)[..., pad:-pad]
            average = _with_averages(train, low, (before[shown], after[shown]), kinds)
            train = replace(average, channel_names=names, lags=times)
        out.append(train)
    return tuple(out)


def _with_averages(
    train: EventTrain, low: Floats, matrices: tuple[Floats, Floats], kinds: npt.NDArray[np.str_]
) -> EventTrain:
    """Return a train with its averages and reduction.

    ``low`` holds the average of the channels as they are and half the difference between even
    and odd events, axes (average/difference, channel, lag); ``matrices`` are the operators.
    """
    with single_threaded_blas():
        before, after = (matrix @ low[0] for matrix in matrices)
        scale = _noise_by_kind(matrices[0] @ low[1], kinds)
    return replace(
        train,
        reduction_db=_reduction_db(before, after, scale),
        average_before=before,
        average_after=after,
    )


def _noise_by_kind(noise: Floats, kinds: npt.NDArray[np.str_]) -> Floats:
    """Return each channel's scale: the noise of the averages of its kind, axes (channel,)."""
    scale = np.ones(len(noise))
    for kind in np.unique(kinds):
        rms = float(np.sqrt(np.mean(noise[kinds == kind] ** 2)))
        if rms > 0:
            scale[kinds == kind] = rms
    return scale


def _reduction_db(before: Floats, after: Floats, scale: Floats) -> float:
    """Return the fall of the peak RMS over the channels most affected before, in dB."""
    peaks = np.abs(before).max(axis=1) / scale
    most = np.argsort(-peaks, kind="stable")[:N_MOST_AFFECTED]
    rms = [
        float(np.sqrt(np.mean((x[most] / scale[most, None]) ** 2, axis=0)).max())
        for x in (before, after)
    ]
    return float(20 * np.log10(rms[0] / rms[1])) if rms[0] > 0 and rms[1] > 0 else float("nan")


def _accumulate(
    working: Working,
    names: tuple[str, ...],
    needed: tuple[str, ...],
    events: list[Index],
    first: int,
    last: int,
    n_threads: int,
) -> list[_Sums]:
    """Add up stretches around events that are believed throughout."""
    counts = [0 for _ in events]
    sums: list[Any] = []
    for start, data, rows, good in _pieces(working, names, needed, last - first):
        if not sums:
            empty = np.zeros((2, len(names), last - first))
            sums = [to_device(empty.copy(), like=data) for _ in events]
        bad = np.concatenate([[0], np.cumsum(~good)])
        for i, samples in enumerate(events):
            lo, hi = np.searchsorted(samples, [start - first, start + len(good) - last + 1])
            begins = samples[lo:hi] + first - start
            begins = begins[bad[begins] == bad[begins + last - first]]
            if len(begins):
                halves = (counts[i] + np.arange(len(begins))) % 2
                add_stretches(data, rows, begins, halves, sums[i], n_threads=n_threads)
                counts[i] += len(begins)
    nothing = np.zeros((2, len(names), last - first))
    return [_Sums(to_host(s), n) for s, n in zip(sums or [nothing] * len(events), counts)]


def _pieces(
    working: Working, names: tuple[str, ...], needed: tuple[str, ...], length: int
) -> Iterator[tuple[int, Any, Index, npt.NDArray[np.bool_]]]:
    """Yield (start, data, rows of the channels, believed): every stretch lies in just one piece.

    Pieces are the blocks, and before each what is around its begin.
    """
    rows, every = working.info.rows(names), np.arange(len(names))
    tail: Any = None
    believed_tail = np.zeros(0, dtype=bool)
    stop = None
    for block in working.blocks():
        good = believed(block, needed)
        head = rows_of(block.data[:, : length - 1], rows)
        if stop != block.start or tail is None:
            tail, believed_tail = head[:, :0], good[:0]
        around = namespace(head).concat([tail, head], axis=1)
        known = np.concatenate([believed_tail, good[: length - 1]])
        yield block.start - len(believed_tail), around, every, known
        yield block.start, block.data, rows, good
        if len(good) >= length - 1:
            around, known = rows_of(block.data[:, len(good) - length + 1 :], rows), good
        keep = min(length - 1, around.shape[1])
        tail, believed_tail = around[:, around.shape[1] - keep :], known[len(known) - keep :]
        stop = block.stop
