"""Event-locked averages before and after cleaning, and how much of them is gone.

Averaging, filtering and the operators are all linear, so the channels as they are get averaged
once, in one pass, and the operators and the 40 Hz low-pass are applied to the averages.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from brainforge.errors import InputError
from brainforge.kernels.band_limit import band_limit
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
    counts: list[int]


def locked_reduction(
    working: Working,
    operator_before: Operator,
    operator_after: Operator,
    trains: Sequence[EventTrain],
    *,
    lags: tuple[float, float] = (-0.3, 0.5),
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
    used = used_columns(operator_before.matrix) | used_columns(
        operator_after.pick(operator_before.names).matrix
    )
    needed = tuple(n for n, u in zip(info.names, used) if u)
    sfreq, decim = working.info.sfreq, working.info.decim
    first, last = round((lags[0] - PAD) * sfreq), round((lags[1] + PAD) * sfreq) + 1
    events = [np.asarray(t.samples, dtype=np.int64) // decim for t in trains]
    sums = _accumulate(working, info.names, needed, events, first, last)
    before, after = operator_before.matrix, operator_after.pick(operator_before.names).matrix
    pad = round(PAD * sfreq)
    times = (np.arange(first, last) / sfreq)[pad:-pad]
    meg = np.array([c.kind in MEG_KINDS for c in info.channels])
    alive = meg & np.any(before != 0, axis=1) & np.array([not c.bad for c in info.channels])
    names = tuple(n for n, a in zip(info.names, alive) if a)
    kinds = np.array([c.kind for c, a in zip(info.channels, alive) if a])
    out = []
    for train, part in zip(trains, sums):
        n = sum(part.counts)
        if not n or not alive.any():
            out.append(train)
            continue
        raw = np.stack([part.sums.sum(axis=0), part.sums[0] - part.sums[1]]) / n
        low = band_limit(raw, sfreq, 0.0, H_FREQ)[..., pad:-pad]
        mean_before, mean_after = before[alive] @ low[0], after[alive] @ low[0]
        scale = _noise_by_kind(before[alive] @ low[1], kinds)
        out.append(
            replace(
                train,
                reduction_db=_reduction_db(mean_before, mean_after, scale),
                channel_names=names,
                lags=times,
                average_before=mean_before,
                average_after=mean_after,
            )
        )
    return tuple(out)


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
) -> list[_Sums]:
    """Add up stretches around events that are believed throughout."""
    out = [_Sums(np.zeros((2, len(names), last - first)), [0, 0]) for _ in events]
    for start, data, good, new in _overlapping(working, names, needed, last - first - 1):
        bad = np.concatenate([[0], np.cumsum(~good)])
        for samples, part in zip(events, out):
            begin = samples + first - start
            # a stretch belongs to the block in which it ends
            here = (begin >= 0) & (begin + last - first > new) & (begin + last - first <= len(good))
            for at in begin[here]:
                if bad[at] == bad[at + last - first]:
                    odd = sum(part.counts) % 2
                    part.sums[odd] += data[:, at : at + last - first]
                    part.counts[odd] += 1
    return out


def _overlapping(
    working: Working, names: tuple[str, ...], needed: tuple[str, ...], overlap: int
) -> Iterator[tuple[int, npt.NDArray[np.float32], npt.NDArray[np.bool_], int]]:
    """Yield (start, data, believed, first new column): blocks with what went before them."""
    rows = working.info.rows(names)
    data, good = np.zeros((len(names), 0), np.float32), np.zeros(0, dtype=bool)
    stop = None
    for block in working.blocks():
        if stop != block.start:
            data, good = data[:, :0], good[:0]
        tail = min(overlap, data.shape[1])
        kept = data.shape[1] - tail
        data = np.concatenate([data[:, kept:], block.data[rows]], axis=1)
        good = np.concatenate([good[kept:], believed(block, needed)])
        stop = block.stop
        yield block.start - tail, data, good, tail
