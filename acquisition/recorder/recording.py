"""Recording: ring, log, sealer and guard of one archive, with the two threads that work them.

The source's thread calls `write` and `note`; the log's thread commits ten times a second; the
sealer's thread takes full shards out of the way. `finish` ends all of it in order.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Final

import numpy.typing as npt

from brainforge.acquisition.notice import Notice, What
from brainforge.acquisition.recorder.disk import FULL
from brainforge.acquisition.recorder.guard import Guard, Room
from brainforge.acquisition.recorder.ledger import Ledger
from brainforge.acquisition.recorder.log import PERIOD_S, End, Log
from brainforge.acquisition.recorder.replay import RECORDER_DIED
from brainforge.acquisition.recorder.sealer import Sealer
from brainforge.acquisition.ring import Ring, State
from brainforge.archive.growing import GrowingArchive
from brainforge.errors import InputError, OutputError
from brainforge.readers.events import Rises
from brainforge.recording import Event

#: seconds after the end of the stream after which a disk that takes nothing is given up
GIVE_UP_S: Final = 30.0
#: pause before a shard that could not be sealed is tried again, and attempts at the end
RETRY_S, ATTEMPTS = 1.0, 3
#: ending of feeds in memory, whose names begin as the ring's
FEED: Final = ".feed"
#: pause between two looks at a ring that has no room
ROOM_S: Final = 0.02


@dataclass
class Parts:
    """What a recording consists of, put together by `begin` or `take_over`.

    Parameters
    ----------
    archive : GrowingArchive
    ring : Ring
    ledger : Ledger
    log : Log
    sealer : Sealer
    guard : Guard
    stack : ExitStack
        Of what has to be let go at the end, the lock last.
    causes : list of (int, int, str)
        Intervals that the disk has damaged.
    """

    archive: GrowingArchive
    ring: Ring
    ledger: Ledger
    log: Log
    sealer: Sealer
    guard: Guard
    stack: ExitStack
    causes: list[tuple[int, int, str]] = field(default_factory=list)


class Recording:
    """One archive being recorded.

    Parameters
    ----------
    parts : Parts
    stop : callable
        Asks the source to end; called with the reason, from any thread.

    Attributes
    ----------
    full : str
        What the disk said when it was full; empty while it is not.
    trouble : str
        What keeps shards from being sealed at the moment.
    """

    def __init__(self, parts: Parts, stop: Callable[[str], None]) -> None:
        self.parts, self._stop = parts, stop
        self.ring, self.ledger, self.log = parts.ring, parts.ledger, parts.log
        self.log.on_full = self.on_full
        self._info = parts.archive.info
        self._rises = Rises(self._info)
        self._at, self._first = 0, -1
        self.full = self.trouble = ""
        self._ending = threading.Event()
        self._wake_sealer = threading.Event()
        self._hurry = threading.Event()
        self._deadline = float("inf")
        self._failure: BaseException | None = None
        self._threads = [
            threading.Thread(target=self._guarded, args=(work,), name=name, daemon=True)
            for work, name in ((self._keep_log, "log"), (self._keep_sealing, "seal"))
        ]

    def continue_at(self, at: int, last: npt.NDArray[Any] | None) -> None:
        """Go on behind what another process recorded.

        Parameters
        ----------
        at : int
            Absolute index of the next sample.
        last : array (channel,) | None
            The sample before it.
        """
        self._at, self._first = at, self.ledger.start
        if last is not None:
            self._rises.take(last[self._rises.rows, None], at - 1)

    def start(self) -> None:
        """Begin to write what comes."""
        self.ring.state = State.RECORDING
        for thread in self._threads:
            thread.start()

    @property
    def at(self) -> int:
        """Absolute index of the next sample."""
        return self._at

    @property
    def first(self) -> int:
        """Absolute index of the first sample that is known of."""
        return max(self._first, 0)

    @property
    def sfreq(self) -> float:
        """Nominal rate in Hz."""
        return self._info.sfreq

    @property
    def room(self) -> Room:
        """Room on the disk when it was last looked at."""
        return self.parts.guard.room

    @property
    def turns_skipped(self) -> int:
        """How often the log was synced without its turn."""
        return self.log.turns.skipped

    # the source's thread

    def note(self, item: Notice | Event) -> None:
        """Take what the source says, in order with `write`."""
        if isinstance(item, Event):
            self.ring.note_event(item.sample, item.code, item.channel)
        self.log.put(item)

    def write(
        self,
        data: npt.NDArray[Any],
        start: int,
        counter: int = -1,
        arrival: float = 0.0,
        stamp: float = float("nan"),
    ) -> None:
        """Take samples; waits while the disk is behind by more than the ring holds.

        Parameters
        ----------
        data : array, axes (sample, channel)
        start, counter : int
            Absolute index and device counter of the first.
        arrival, stamp : float
            As in `brainforge.acquisition.live_source.Piece`.
        """
        while self.ring.room() < len(data):
            self.check()
            self._hurry.set()
            time.sleep(ROOM_S)
        if self._first < 0:
            self._first = start
        if start != self._at:
            self._rises = Rises(self._info)  # a line that is high behind a gap did not rise there
        if self._rises.names:
            for event in self._rises.take(data[:, self._rises.rows].T, start):
                self.ring.note_event(event.sample, event.code, event.channel)
        self.ring.write(data, start, counter, int(arrival * 1e9))
        self._at = start + len(data)
        self.log.stamp(self._at, stamp)

    def check(self) -> None:
        """Raise what has stopped a thread in the background."""
        if self._failure is not None:
            raise self._failure

    # the threads

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            self._failure = self._failure or error
            self._stop(f"internal error: {error}")
            self._wake_sealer.set()

    def _keep_log(self) -> None:
        due = time.monotonic()
        while not self._ending.is_set():
            self.log.cycle()
            self._look()
            due = max(due + PERIOD_S, time.monotonic())
            # a source that is faster than the clock is not made to wait for it
            self._hurry.wait(due - time.monotonic())
            self._hurry.clear()
        while not self.log.idle:
            self.log.cycle()
            if self.log.trouble and time.monotonic() > self._deadline:
                raise OutputError(
                    f"{self.parts.archive.path}: the disk does not take the last "
                    f"{self.ring.received - self.ring.committed} samples ({self.log.trouble}); "
                    "they wait in memory while the machine runs: brainforge repair takes them "
                    "from there"
                )
            if not self.log.idle:
                time.sleep(ROOM_S)

    def _look(self) -> None:
        """Wake the sealer where a shard is due, and look at the room on the disk."""
        if self.parts.sealer.due:
            self._wake_sealer.set()
        before = self.parts.guard.room.alarm
        enough = self.parts.guard.look()
        alarm = self.parts.guard.room.alarm
        if alarm and not before:
            self._say(alarm)
        if not enough:
            self.on_full("only the room for ending in order is left")

    def on_full(self, text: str) -> None:
        """Stop the recording in order while there is room for that."""
        if not self.full:
            self.full = text
            self._say(f"the disk is full ({text}); the recording ends")
            self._stop("disk full")

    def _say(self, cause: str) -> None:
        at = self.ledger.stop
        self.log.put(Notice(What.RECORDER, at, at, cause))

    def _keep_sealing(self) -> None:
        while not self._ending.is_set():
            self._wake_sealer.wait()
            self._wake_sealer.clear()
            self._seal_due()

    def _seal_due(self) -> None:
        while self.parts.sealer.due and self._failure is None:
            try:
                self.parts.sealer.step()
                self.trouble = ""
            except OSError as error:
                # its samples are safe in the log
                self.trouble = str(error)
                if number_of(error) in FULL:
                    self.on_full(self.trouble)
                self._ending.wait(RETRY_S)
                return

    # the end

    def finish(self, why: str, clock: dict[str, Any] | None = None) -> None:
        """Commit, seal and describe all that has come, and publish the archive.

        Raises
        ------
        InputError
            Nothing has come; then nothing is left behind.
        OutputError
            The disk takes no more; what is there can be finished later.
        """
        self.ring.state = State.STOPPING
        self.log.put(End(why, dict(clock or {})))
        self._deadline = time.monotonic() + GIVE_UP_S
        if self.full:
            self.parts.guard.release()
        self._ending.set()
        self._hurry.set()
        self._wake_sealer.set()
        for thread in self._threads:
            thread.join()
        self.check()
        archive = self.parts.archive
        if not self.ledger.stored:
            shutil.rmtree(archive.path, ignore_errors=True)
            self._done()
            raise InputError(where=str(archive.path), expected="samples to store", got="none")
        for notice in self.ledger.explain(self.parts.causes, RECORDER_DIED):
            self.ledger.note(notice)
        self.parts.guard.release()
        self._publish({"clock": dict(clock or {}), "ended": why})
        self._done()

    def _publish(self, source: dict[str, Any]) -> None:
        """Seal the rest and let the archive be finished; all of it may be repeated."""
        archive, sealer = self.parts.archive, self.parts.sealer
        for left in reversed(range(ATTEMPTS)):
            try:
                while sealer.due:
                    sealer.step()
                sealer.rest()
                archive.finish(self.ledger.account(source))
                return
            except OSError as error:
                if not left:
                    raise OutputError(
                        f"{archive.path}: all samples are safe in its log, but the archive could "
                        f"not be finished ({error}); brainforge repair {archive.path} does it"
                    ) from error
                time.sleep(RETRY_S)

    def _done(self) -> None:
        self.ring.state = State.ENDED
        self.close()
        ring = self.ring.path
        for path in (ring, *ring.parent.glob(f"{ring.stem}*{FEED}")):
            path.unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of files and lock; what is on the disk stays as it is."""
        self._ending.set()
        self._hurry.set()
        self._wake_sealer.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(GIVE_UP_S)
        self.parts.stack.close()


def number_of(error: BaseException | None) -> int:
    """Return the system's number of an error or of what caused it; 0 where there is none."""
    while error is not None:
        if isinstance(error, OSError) and error.errno:
            return error.errno
        error = error.__cause__
    return 0
