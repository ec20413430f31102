"""Past: stored samples that have left the ring, read from the recording while it grows."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from brainforge.acquisition.recorder.replay import Unfinished
from brainforge.acquisition.ring import Overrun, State, Stretch
from brainforge.archive import manifest, open_archive
from brainforge.archive.layout import LIVE, Layout
from brainforge.archive.reader import read_parts
from brainforge.archive.shard import decode
from brainforge.errors import ReadError

#: a recording that is being finished changes under the reader: it looks again
ATTEMPTS: Final = 20
WAIT_S: Final = 0.1

Spans = list[tuple[int, int]]


def cut(spans: Spans, first: int, last: int) -> list[tuple[int, int, int]]:
    """Return (absolute start, absolute stop, place) of the stored samples [first, last).

    Parameters
    ----------
    spans : list of (int, int)
        Absolute samples that are stored, in order.
    """
    ends = list(accumulate((b - a for a, b in spans), initial=0))
    out = []
    for (a, _), (lo, hi) in zip(spans, pairwise(ends), strict=True):
        low, high = max(first, lo), min(last, hi)
        if low < high:
            out.append((a + low - lo, a + high - lo, low))
    return out


def dated(stretch: Stretch, newest: int, arrival_ns: int, sfreq: float) -> Stretch:
    """Return samples of the past with about the times at which they came.

    Parameters
    ----------
    stretch : Stretch
    newest : int
        One past the newest stored sample.
    arrival_ns : int
        When that came.
    sfreq : float
        In Hz.
    """
    before_s = (newest - 1 - stretch.stored - np.arange(len(stretch.data))) / sfreq
    return replace(stretch, arrival=arrival_ns - (1e9 * before_s).astype(np.int64))


class Past:
    """Reads what was recorded, by places among the stored samples.

    Parameters
    ----------
    archive : Path
        Of a recording that has begun; it may be finished at any time.
    """

    def __init__(self, archive: Path) -> None:
        self._archive = archive
        try:
            text = (archive / LIVE / "header.json").read_text(encoding="utf-8")
            self._header = json.loads(text)
            self._layout = Layout(n_samples=0, **self._header["layout"])
        except FileNotFoundError:
            self._layout = read_parts(archive)[3]
        self._dtype = np.dtype(self._layout.dtype)
        #: absolute stretches that are stored, for the places below ``_known``
        self._spans: Spans = []
        self._known = self._n_sealed = 0
        #: the shard that was decoded last: pieces are read one after the other
        self._shard = -1
        shape = (self._layout.n_channels, self._layout.samples)
        self._decoded = np.empty(shape, dtype=self._dtype)

    def read(self, first: int, last: int) -> list[Stretch]:
        """Return samples from place ``first`` on, up to ``last`` or the end of a shard.

        Raises
        ------
        ReadError
            They are not there.
        """
        size = self._layout.samples
        last = min(last, (first // size + 1) * size)
        for attempt in range(ATTEMPTS):
            try:
                data = self._samples(first, last)
                break
            except (OSError, ReadError):
                if attempt == ATTEMPTS - 1:
                    raise
                time.sleep(WAIT_S)
        return [
            Stretch(data[at - first : at - first + b - a], a, at, -1, np.zeros(b - a, np.int64))
            for a, b, at in cut(self._spans, first, last)
        ]

    def _samples(self, first: int, last: int) -> npt.NDArray[Any]:
        """Return samples, axes (sample, channel); afterwards their absolute stretches are known."""
        shard, at = divmod(first, self._layout.samples)
        if last > self._known:
            found = self._look(first, last)
            if found is not None:
                return found
        if shard != self._shard:
            path = self._archive / self._layout.key(shard)
            decode(path.read_bytes(), self._layout, self._decoded)
            self._shard = shard
        return self._decoded[:, at : at + last - first].T

    def _look(self, first: int, last: int) -> npt.NDArray[Any] | None:
        """Find out what is stored; return samples that are in the log and in no shard yet."""
        if not (self._archive / LIVE).exists():
            _, _, contents, _ = read_parts(self._archive)
            self._spans = [(s.start, s.stop) for s in contents.segments]
            self._known = sum(b - a for a, b in self._spans)
            return None
        unfinished = Unfinished(
            self._archive / LIVE, self._header["recording_id"], self._dtype, self._layout.samples
        )
        replay = unfinished.replay(self._sealed() * self._layout.samples)
        self._spans = [(a, b) for a, b in replay.ledger.stretches]
        # what is sealed never changes; the rest is looked up again
        self._known = replay.base * self._layout.samples
        return None if last <= self._known else unfinished.read(replay, first, last)

    def _sealed(self) -> int:
        while (self._archive / self._layout.key(self._n_sealed)).exists():
            self._n_sealed += 1
        return self._n_sealed


class Whole:
    """A finished recording where a ring was: for a process that comes when all is over.

    Parameters
    ----------
    archive : Path
    """

    state, heartbeat = State.ENDED, 0

    def __init__(self, archive: Path) -> None:
        _, _, _, layout = read_parts(archive)
        self.received = layout.n_samples
        # by another clock, which may have been set since: the nearest that is known
        age = time.time() - (archive / manifest.NAME).stat().st_mtime
        self._ended = time.monotonic_ns() - round(1e9 * max(age, 0.0))
        self._events = open_archive(archive).events

    def last_arrival(self) -> int:
        """Return the `time.monotonic_ns` at which the recording ended."""
        return self._ended

    def read(self, first: int, last: int) -> list[Stretch]:
        """Say that nothing is in memory any more."""
        raise Overrun(self.received)

    def events(self, since: int) -> tuple[int, list[tuple[int, int, str]]]:
        """Return the number of triggers and those from the ``since``-th on."""
        found = [(e.sample, e.code, e.channel) for e in self._events]
        return len(found), found[since:]

    def close(self) -> None:
        """Do nothing: nothing is open."""
