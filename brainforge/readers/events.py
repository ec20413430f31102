"""Trigger channels become integer events, block by block."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.info import Info
from brainforge.recording import Event

#: channels that hold all trigger lines as one word; where one is there, the others repeat it
COMPOSITE = ("STI101", "STI 101", "STI 014", "STI014")
BLOCK_SECONDS = 10.0


def trigger_names(info: Info) -> tuple[str, ...]:
    """Return the stim channels to take events from."""
    stim = info.names_of("stim")
    for name in COMPOSITE:
        if name in stim:
            return (name,)
    return stim


def _codes(counts: npt.NDArray[Any], info: Info, names: tuple[str, ...]) -> npt.NDArray[np.int64]:
    channels = [info.channel(n) for n in names]
    cal = np.array([c.cal for c in channels])[:, None]
    offset = np.array([c.offset for c in channels])[:, None]
    values = np.nan_to_num(counts * cal + offset, nan=0.0, posinf=0.0, neginf=0.0)
    codes: npt.NDArray[np.int64] = np.rint(values).astype(np.int64)
    if counts.dtype == np.int16:
        return codes & 0xFFFF  # a 16-bit trigger word whose highest line is the sign
    return np.abs(codes)


def edges(codes: npt.NDArray[np.int64]) -> npt.NDArray[np.intp]:
    """Return where a trigger line rises to a higher code; the first sample is no event."""
    return np.flatnonzero((codes[1:] > codes[:-1]) & (codes[1:] != 0)) + 1


def find_events(
    info: Info,
    read_rows: Callable[[int, int, Any], npt.NDArray[Any]],
    segments: Iterable[tuple[int, int]],
) -> tuple[Event, ...]:
    """Return the events of the trigger channels, sorted by sample.

    Parameters
    ----------
    info : Info
    read_rows : callable
        ``read_rows(start, stop, rows)`` gives counts, axes (row, sample), absolute samples.
    segments : iterable of (int, int)
        Stretches that hold samples; a line that is high at the start of one is no event.
    """
    names = trigger_names(info)
    if not names:
        return ()
    rows = info.rows(names)
    size = max(round(BLOCK_SECONDS * info.sfreq), 2)
    found: list[Event] = []
    for start, stop in segments:
        last: npt.NDArray[np.int64] | None = None
        for a in range(start, stop, size):
            codes = _codes(read_rows(a, min(a + size, stop), rows), info, names)
            lead = 0 if last is None else 1
            if last is not None:
                codes = np.concatenate([last, codes], axis=1)
            for name, line in zip(names, codes, strict=True):
                found += [Event(int(a - lead + e), int(line[e]), name) for e in edges(line)]
            last = codes[:, -1:]
    return tuple(sorted(found, key=lambda e: (e.sample, e.channel)))
