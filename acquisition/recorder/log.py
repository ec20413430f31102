"""Log: writes what came to the write-ahead log, syncs it, and only then calls it committed.

A cycle takes the samples from the ring, where they lie, and what was said about the stream, in
their order. When syncing fails, what was not synced is written again to another segment: it is
all still in the ring, since nothing is written over before it is committed.
"""

from __future__ import annotations

import errno
import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from brainforge.acquisition.notice import Notice, What
from brainforge.acquisition.recorder.disk import FULL
from brainforge.acquisition.recorder.frame import Kind, Samples, Writer, pack_json, pack_samples
from brainforge.acquisition.recorder.ledger import Ledger
from brainforge.acquisition.recorder.segments import Segments
from brainforge.acquisition.recorder.turns import Turns
from brainforge.acquisition.ring import Ring
from brainforge.errors import OutputError
from brainforge.recording import Event

#: seconds from one sync to the next
PERIOD_S: Final = 0.1
#: longest frame of samples in seconds: what one damaged block on the disk can cost
FRAME_S: Final = 1.0
#: after a failed sync it is tried again after so many seconds, then after twice that, ...
FIRST_RETRY_S, LONGEST_RETRY_S = 0.2, 5.0
#: durations of syncs that are remembered
REMEMBERED: Final = 600


@dataclass(frozen=True)
class End:
    """Said last in the log of a recording that was stopped in order."""

    why: str
    clock: dict[str, Any] = field(default_factory=dict)


@dataclass
class Carried:
    """What a shard's segments hold besides its samples, for the ledger that outlives them.

    Parameters
    ----------
    items : list of Notice and Event
    stretches : list of [start, stop]
        Absolute samples in the shard.
    last : dict
        Counter and stamp of its last sample.
    number, generation : int
        Of the last frame.
    """

    items: list[Notice | Event] = field(default_factory=list)
    stretches: list[list[int]] = field(default_factory=list)
    last: dict[str, Any] = field(default_factory=dict)
    number: int = -1
    generation: int = 0


@dataclass(frozen=True)
class _Frame:
    shard: int
    buffers: list[Any]


class Log:
    """The write-ahead log of one recorder. `put` is for the source's thread, `cycle` for its own.

    Parameters
    ----------
    ring : Ring
    ledger : Ledger
        Told of everything that is written.
    segments : Segments
    writer : Writer
    shard_samples : int
        Stored samples in a shard.
    sfreq : float
    turns : Turns
    number : int
        Of the first frame.

    Attributes
    ----------
    on_full : callable
        Called when the disk is full, by the log's thread.
    turns : Turns
    sync_ms : deque of float
        What the last syncs took, waiting for the turn included.
    busy_since : float | None
        `time.monotonic` since when the disk has been asked; None while it is not.
    trouble : str
        What the disk answered to the last cycle, where that failed.
    last : dict
        ``counter`` and ``stamp`` of the last sample; empty where there is none.
    """

    def __init__(
        self,
        ring: Ring,
        ledger: Ledger,
        segments: Segments,
        writer: Writer,
        shard_samples: int,
        sfreq: float,
        turns: Turns,
        number: int = 0,
    ) -> None:
        self._ring, self._ledger, self._segments = ring, ledger, segments
        self._writer, self._number = writer, number
        self._shard_samples, self._sfreq = shard_samples, sfreq
        self.turns = turns
        self.on_full: Callable[[str], None] = lambda text: None
        self._most = max(round(FRAME_S * sfreq), 1)
        self._at = ring.logged
        self._waiting: deque[tuple[int, Notice | Event | End]] = deque()
        self._unsynced: list[_Frame] = []
        self._carried: dict[int, Carried] = {}
        self._stamp = (0, math.nan)
        self.last: dict[str, Any] = {}
        self._retry_s, self._not_before = FIRST_RETRY_S, 0.0
        self.sync_ms: deque[float] = deque(maxlen=REMEMBERED)
        self.busy_since: float | None = None
        self.trouble = ""

    def put(self, item: Notice | Event | End) -> None:
        """Take what belongs behind the samples in the ring and before those to come."""
        self._waiting.append((self._ring.received, item))

    def stamp(self, stop: int, stamp: float) -> None:
        """Take when the sample before the absolute ``stop`` was taken, by the source's clock."""
        self._stamp = (stop, stamp)

    def adopt(self, carried: dict[int, Carried], last: dict[str, Any], stop: int) -> None:
        """Take over from another process's log.

        Parameters
        ----------
        carried : dict of int to Carried
            Of the shards whose segments are still there.
        last : dict
            As the attribute.
        stop : int
            Absolute index behind the last sample.
        """
        self._carried.update(carried)
        self.last = last
        self._stamp = (stop, float(last.get("stamp", math.nan)))

    def settle(self, patience: float) -> None:
        """Commit all that has come, in this thread, while no other one works the log.

        Raises
        ------
        OutputError
            The disk does not take it.
        """
        deadline = time.monotonic() + patience
        while not self.idle:
            self.cycle()
            if self.trouble and time.monotonic() > deadline:
                raise OutputError(f"the log cannot be written: {self.trouble}")
            if not self.idle:
                time.sleep(FIRST_RETRY_S)

    def carried(self, shard: int) -> Carried:
        """Return what has to outlive a shard's segments; complete once all of it is committed."""
        return self._carried.setdefault(shard, Carried())

    def forget(self, shard: int) -> None:
        """Let go of a shard: it is sealed and what it carries is kept elsewhere."""
        self._carried.pop(shard, None)
        self._segments.drop(shard + 1)

    @property
    def idle(self) -> bool:
        """Whether everything that has come is committed."""
        return not (self._unsynced or self._waiting or self._ring.received > self._at)

    def cycle(self) -> None:
        """Write, sync and commit what has come since the last time."""
        if time.monotonic() < self._not_before:
            return
        self._collect()
        if self._unsynced:
            self.busy_since = began = time.monotonic()
            try:
                self._write()
                self._ring.logged = self._at
                with self.turns:
                    self._segments.sync()
            except OSError as error:
                self._failed(error)
                return
            finally:
                self.busy_since = None
            self._unsynced.clear()
            self._ring.committed = self._at
            self.sync_ms.append(1e3 * (time.monotonic() - began))
            self._retry_s, self.trouble = FIRST_RETRY_S, ""
        self._prepare()

    def _prepare(self) -> None:
        """Allocate the next segment, behind the commit and not before it."""
        self.busy_since = time.monotonic()
        try:
            self._segments.prepare()
        except OSError as error:
            # what has come so far still finds room in the segment at hand
            self.trouble = error.strerror or str(error)
            if error.errno in FULL:
                self.on_full(self.trouble)
        finally:
            self.busy_since = None

    def _write(self) -> None:
        first = 0
        frames = self._unsynced
        for i in range(1, len(frames) + 1):
            if i == len(frames) or frames[i].shard != frames[first].shard:
                shard = frames[first].shard
                self._segments.write(shard, [f.buffers for f in frames[first:i]])
                first = i

    def _failed(self, error: OSError) -> None:
        """Remember what the disk said; what was not synced is written anew, elsewhere."""
        text = error.strerror or str(error)
        self._segments.abandon()
        if error.errno in FULL:
            self.on_full(text)
        if not self.trouble:
            name = errno.errorcode.get(error.errno or 0, "")
            detail = {"error": name, "unsynced": self._ring.received - self._ring.committed}
            cause = f"the log could not be written ({text}); it is written again elsewhere"
            self.put(
                Notice(What.RECORDER, self._ledger.stop, self._ledger.stop, cause, detail=detail)
            )
        self.trouble = text
        self._not_before = time.monotonic() + self._retry_s
        self._retry_s = min(2 * self._retry_s, LONGEST_RETRY_S)

    def _collect(self) -> None:
        """Turn into frames what has come, in its order."""
        # first, so that everything said before these samples is seen below
        last = self._ring.received
        while self._waiting and self._waiting[0][0] <= last:
            place, item = self._waiting.popleft()
            self._take_samples(max(place, self._at))
            self._take_item(item)
        self._take_samples(last)

    def _take_samples(self, last: int) -> None:
        while self._at < last:
            shard = self._at // self._shard_samples
            end = min(last, (shard + 1) * self._shard_samples, self._at + self._most)
            for view in self._ring.views(self._at, end):
                stamp = self._stamp_at(view.start + len(view.data))
                samples = Samples(view.start, view.counter, int(view.arrival[0]), stamp, view.data)
                self._append(shard, pack_samples(self._writer, self._number, samples))
                self._ledger.add(samples.start, samples.stop)
                carried = self.carried(shard)
                note_stretch(carried, samples)
                self.last = carried.last
            self._at = end

    def _stamp_at(self, stop: int) -> float:
        at, stamp = self._stamp
        return stamp + (stop - at) / self._sfreq

    def _take_item(self, item: Notice | Event | End) -> None:
        shard = self._at // self._shard_samples
        kind, document = document_of(item)
        data = pack_json(self._writer, self._number, kind, document)
        self._append(shard, [data])
        if not isinstance(item, End):
            self.carried(shard).items.append(item)
            self._ledger.note(item)

    def _append(self, shard: int, buffers: list[Any]) -> None:
        self._unsynced.append(_Frame(shard, buffers))
        carried = self.carried(shard)
        carried.number, carried.generation = self._number, self._writer.generation
        self._number += 1

    def sync_figures(self) -> dict[str, float]:
        """Return p50, p99 and the longest of the last syncs in milliseconds."""
        taken = np.array(list(self.sync_ms) or [0.0])
        p50, p99 = np.percentile(taken, [50, 99])
        return {"p50": float(p50), "p99": float(p99), "max": float(taken.max())}


def note_stretch(carried: Carried, samples: Samples) -> None:
    """Add samples to what is known of a shard."""
    if carried.stretches and carried.stretches[-1][1] == samples.start:
        carried.stretches[-1][1] = samples.stop
    else:
        carried.stretches.append([samples.start, samples.stop])
    n = len(samples.data)
    counter = samples.counter + n - 1 if samples.counter >= 0 else -1
    carried.last = {"counter": counter, "stamp": samples.stamp}


def document_of(item: Notice | Event | End) -> tuple[Kind, dict[str, Any]]:
    """Return a frame's kind and document."""
    if isinstance(item, Notice):
        return Kind.NOTICE, item.to_dict()
    if isinstance(item, Event):
        return Kind.EVENT, {"sample": item.sample, "code": item.code, "channel": item.channel}
    return Kind.END, {"why": item.why, "clock": item.clock}


def item_of(kind: Kind, document: dict[str, Any]) -> Notice | Event | End:
    """Return what `document_of` made a document of."""
    if kind is Kind.NOTICE:
        return Notice.from_dict(document)
    if kind is Kind.EVENT:
        return Event(int(document["sample"]), int(document["code"]), str(document["channel"]))
    return End(str(document["why"]), dict(document["clock"]))
