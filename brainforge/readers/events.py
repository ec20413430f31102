"""Trigger channels become integer events, block by block."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
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


class Rises:
    """Takes the counts of trigger channels piece by piece and tells where their codes rise.

    Parameters
    ----------
    info : Info
    last : sequence of int | None
        Codes of the sample before the first one, by channel; None where nothing came before.

    Attributes
    ----------
    names : tuple of str
        The channels looked at.
    rows : intp array (channel,)
        Their rows.
    """

    def __init__(self, info: Info, last: Sequence[int] | None = None) -> None:
        self._info = info
        self.names = trigger_names(info)
        self.rows = info.rows(self.names)
        self._last = None if last is None else np.array(last, dtype=np.int64)[:, None]

    @property
    def last(self) -> list[int] | None:
        """Codes of the last sample taken."""
        return None if self._last is None else [int(code) for code in self._last[:, 0]]

    def take(self, counts: npt.NDArray[Any], start: int) -> list[Event]:
        """Return the events of the next samples, channel by channel.

        Parameters
        ----------
        counts : array, axes (trigger channel, sample)
        start : int
            Index of the first sample.
        """
        if not self.names or not counts.shape[1]:
            return []
        codes = _codes(counts, self._info, self.names)
        lead = 0 if self._last is None else 1
        if self._last is not None:
            codes = np.concatenate([self._last, codes], axis=1)
        self._last = codes[:, -1:].copy()
        return [
            Event(int(start - lead + edge), int(line[edge]), name)
            for name, line in zip(self.names, codes, strict=True)
            for edge in edges(line)
        ]


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
    if not trigger_names(info):
        return ()
    size = max(round(BLOCK_SECONDS * info.sfreq), 2)
    found: list[Event] = []
    for start, stop in segments:
        rises = Rises(info)
        for a in range(start, stop, size):
            found += rises.take(read_rows(a, min(a + size, stop), rises.rows), a)
    return tuple(sorted(found, key=lambda e: (e.sample, e.channel)))
