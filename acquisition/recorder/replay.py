"""Replay: what a recording holds, from its sealed shards' ledger and its write-ahead log.

Places count stored samples. Those of the sealed shards come first, then those of the log. What
the disk has damaged is missing from then on, as a gap; nothing is made up.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from brainforge.acquisition.notice import Notice
from brainforge.acquisition.recorder.carry import NAME, ShardEntry, read_carry
from brainforge.acquisition.recorder.frame import Kind, Samples, recording_number, unpack_samples
from brainforge.acquisition.recorder.ledger import Ledger
from brainforge.acquisition.recorder.log import Carried, End, item_of, note_stretch
from brainforge.acquisition.recorder.segments import Segment, segment_paths
from brainforge.acquisition.recorder.wal import FOLDER, Found, LogReader, document
from brainforge.errors import ReadError
from brainforge.recording import Event

#: causes of gaps that a replay finds by itself
LOG_DAMAGED: Final = "the log was damaged on the disk"
SHARD_DAMAGED: Final = "a sealed shard was damaged on the disk"
RECORDER_DIED: Final = "not received; the recorder died before it had written why"


@dataclass
class Replay:
    """What was found.

    Parameters
    ----------
    ledger : Ledger
        Of the shards and the log, as far as the log is unbroken where only that was asked for.
    entries : list of ShardEntry
        Of the whole sealed shards whose segments may be gone.
    next_number : int
        For the first frame of whoever takes over where the log is unbroken.
    generation : int
        Highest of the recorders that wrote.
    carried : dict of int to Carried
        Of the shards in the log.
    frames : list of Found
        Frames of samples, those behind a break included.
    n_unbroken : int
        How many of them come before it.
    orphans : list of Notice and Event
        What was said behind it.
    old : list of Segment
        The log's files, each with the last shard that it has samples of.
    ended : End | None
        What was said last where the recording was stopped in order.
    last : dict
        ``counter`` and ``stamp`` of the ledger's last sample; empty where there is none.
    causes : list of (int, int, str)
        Absolute intervals that are known to be damaged.
    """

    ledger: Ledger
    entries: list[ShardEntry] = field(default_factory=list)
    next_number: int = 0
    generation: int = 0
    carried: dict[int, Carried] = field(default_factory=dict)
    frames: list[Found] = field(default_factory=list)
    n_unbroken: int = 0
    orphans: list[Notice | Event] = field(default_factory=list)
    old: list[Segment] = field(default_factory=list)
    ended: End | None = None
    last: dict[str, Any] = field(default_factory=dict)
    causes: list[tuple[int, int, str]] = field(default_factory=list)

    @property
    def base(self) -> int:
        """Whole sealed shards; what is stored behind them is in the log."""
        return len(self.entries)

    @property
    def carry_end(self) -> int:
        """Where the next entry of the carried ledger goes."""
        return self.entries[-1].end if self.entries else 0

    @property
    def counter(self) -> int:
        """Device counter of the last sample; -1 where there is none."""
        return int(self.last.get("counter", -1))

    @property
    def stamp(self) -> float:
        """When the last sample was taken, by the source's clock; NaN where unknown."""
        return float(self.last.get("stamp", math.nan))


class Unfinished:
    """The recorder's part of an archive that is not finished: ``live/``'s ledger and log.

    Parameters
    ----------
    live : Path
    recording_id : str
    dtype : dtype
    shard_samples : int
    """

    def __init__(
        self, live: Path, recording_id: str, dtype: np.dtype[Any], shard_samples: int
    ) -> None:
        self._live, self._dtype, self._shard_samples = live, dtype, shard_samples
        self._recording = recording_number(recording_id)

    def replay(self, sealed: int, exact: bool = True, *, unbroken: bool = False) -> Replay:
        """Return what is there; nothing is changed.

        Parameters
        ----------
        sealed : int
            Stored samples in whole sealed shards.
        exact : bool
            Whether the source counts its samples.
        unbroken : bool
            Let the ledger end where the first frame is missing, for a recorder that takes over
            there and writes again what comes behind.

        Raises
        ------
        ReadError
            What is there contradicts itself.
        """
        while True:
            entries = self._entries()
            try:
                out = self._replay(entries, sealed, exact, unbroken)
            except FileNotFoundError:
                continue  # a living recorder has sealed a shard meanwhile, so there is progress
            if len(self._entries()) == len(entries):
                return out

    def _entries(self) -> list[ShardEntry]:
        return read_carry(self._live / NAME, self._recording, self._shard_samples)

    def _replay(
        self, entries: list[ShardEntry], sealed: int, exact: bool, unbroken: bool
    ) -> Replay:
        whole = min(sealed // self._shard_samples, len(entries))
        out = Replay(Ledger(exact), entries[:whole])
        for entry in out.entries:
            for item in entry.items:
                out.ledger.note(item)
            for start, stop in entry.stretches:
                out.ledger.add(start, stop)
            out.last = entry.last
        for entry in entries[whole:]:
            out.orphans += entry.items
            out.causes += [(a, b, SHARD_DAMAGED) for a, b in entry.stretches]
        out.generation = max((e.generation for e in entries), default=0)
        self._replay_log(out, unbroken)
        if not unbroken:
            for item in out.orphans:
                out.ledger.note(item)
        return out

    def _reader(self, entries: list[ShardEntry]) -> LogReader:
        after, generation = (entries[-1].number, entries[-1].generation) if entries else (-1, 0)
        return LogReader(self._live / FOLDER, self._recording, after, generation)

    def _replay_log(self, out: Replay, unbroken: bool) -> None:
        shards: dict[Path, int] = {}
        with self._reader(out.entries) as log:
            first_missing = log.missing[0][0] if log.missing else log.last + 1
            out.next_number = first_missing
            for found, payload in log:
                broken = found.place.number > first_missing
                out.generation = max(out.generation, found.place.generation)
                if found.place.kind is Kind.SAMPLES:
                    self._take_samples(out, found, payload, broken, unbroken)
                else:
                    self._take_item(out, found, payload, broken)
                shards[found.path] = max(out.ledger.stored - 1, 0) // self._shard_samples
        out.old = [Segment(p, shard=shards.get(p, -1)) for p in segment_paths(self._live / FOLDER)]

    def _take_samples(
        self, out: Replay, found: Found, payload: bytes, broken: bool, unbroken: bool
    ) -> None:
        samples = unpack_samples(payload, self._dtype)
        out.frames.append(found)
        stop = out.ledger.stretches[-1][1] if out.ledger.stretches else samples.start
        if samples.start < stop:
            raise ReadError(
                where=str(found.path),
                expected=f"samples from {stop} on",
                got=f"some from {samples.start} on in frame {found.place.number}",
            )
        if broken and samples.start > stop:
            out.causes.append((stop, samples.start, LOG_DAMAGED))
        if broken and unbroken:
            return
        if not broken:
            out.n_unbroken += 1
            carried = out.carried.setdefault(out.ledger.stored // self._shard_samples, Carried())
            note_stretch(carried, samples)
            _mark(carried, found)
        out.ledger.add(samples.start, samples.stop)
        counter = samples.counter + len(samples.data) - 1 if samples.counter >= 0 else -1
        out.last, out.ended = {"counter": counter, "stamp": samples.stamp}, None

    def _take_item(self, out: Replay, found: Found, payload: bytes, broken: bool) -> None:
        item = item_of(found.place.kind, document(payload))
        if isinstance(item, End):
            out.ended = item
        elif broken:
            out.orphans.append(item)
        else:
            out.ledger.note(item)
        if broken:
            return
        carried = out.carried.setdefault(out.ledger.stored // self._shard_samples, Carried())
        _mark(carried, found)
        if not isinstance(item, End):
            carried.items.append(item)

    def samples(self, out: Replay) -> Iterator[tuple[int, Samples]]:
        """Yield the log's samples with the place of the first among the stored ones."""
        at = out.base * self._shard_samples
        with self._reader(out.entries) as log:
            for found in out.frames:
                samples = unpack_samples(log.payload(found), self._dtype)
                yield at, samples
                at += len(samples.data)

    def read(self, out: Replay, first: int, last: int) -> npt.NDArray[Any]:
        """Return the samples at places [first, last), axes (sample, channel), from the log.

        Raises
        ------
        ReadError
            They are not all there.
        """
        parts = []
        for at, samples in self.samples(out):
            lo, hi = max(first - at, 0), min(last - at, len(samples.data))
            if lo < hi:
                parts.append(samples.data[lo:hi])
        if sum(len(p) for p in parts) != last - first:
            raise ReadError(
                where=str(self._live / FOLDER),
                expected=f"the stored samples {first} to {last}",
                got=f"{sum(len(p) for p in parts)} of them",
            )
        return np.concatenate(parts)


def _mark(carried: Carried, found: Found) -> None:
    carried.number, carried.generation = found.place.number, found.place.generation
