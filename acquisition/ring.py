"""Ring: the last minute of a stream in a memory-mapped file, one writer, any number of readers.

It outlives the process that writes it, so whoever takes over finds what had come but was not yet
in the log. Places in it are counted by *stored* samples, which have no holes; beside every sample
stands its absolute index, so that any number of gaps shows without a table. A counter moves only
after the samples below it are there, and a reader checks after copying that the writer has not
come round.
"""

from __future__ import annotations

import contextlib
import mmap
import os
from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from brainforge.errors import InputError, OutputError

I64 = npt.NDArray[np.int64]
MAGIC: Final = 0x42_46_52_49_4E_47_30_31  # "BFRING01"
HEADER: Final = 4096
#: little-endian types a ring can hold, by their place in this list
DTYPES: Final = ("int16", "int32", "float32", "float64")
MAX_EVENTS: Final = 4096
EVENT: Final = np.dtype([("sample", "<i8"), ("code", "<i8"), ("channel", "S48")])


class _Slot(IntEnum):
    """Places of the header's 64-bit words."""

    MAGIC, CHANNELS, DTYPE, CAPACITY = 0, 1, 2, 3
    RECEIVED, LOGGED, COMMITTED, SEALED = 8, 16, 24, 32  # a cache line each
    EVENTS, STATE, HEARTBEAT, GENERATION, BOOT = 40, 48, 56, 64, 72
    CLAIM, FIRST = 80, 88


class State(IntEnum):
    """What the writer says of itself."""

    STARTING, RECORDING, STOPPING, ENDED, FAILED = range(5)


@dataclass(frozen=True)
class Stretch:
    """Samples copied out of a ring that follow each other without a gap.

    Parameters
    ----------
    data : array, axes (sample, channel)
        In the source's dtype.
    start : int
        Absolute index of the first sample.
    stored : int
        Place of the first sample among the stored ones.
    counter : int
        The device's own number of the first sample; -1 where it has none.
    arrival : int64 array (sample,)
        Nanoseconds of `time.monotonic_ns` at which each came.
    """

    data: npt.NDArray[Any]
    start: int
    stored: int
    counter: int
    arrival: I64


class Overrun(Exception):
    """A reader asked for samples that the writer has written over; ``oldest`` is still there."""

    def __init__(self, oldest: int) -> None:
        self.oldest = oldest
        super().__init__(f"the ring holds stored samples from {oldest} on")


def boot_number() -> int:
    """Return a number that changes when the machine starts anew: then no ring can be trusted."""
    try:
        text = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
    except OSError:
        return 0
    return int(text.replace("-", "")[:15], 16)


class Ring:
    """One stream's ring.

    Use `create` in the recorder and `attach` everywhere else. Numbers of samples count stored
    samples from the beginning of the recording.

    Attributes
    ----------
    path : Path
    n_channels, capacity : int
    dtype : dtype
    """

    def __init__(self, path: Path, file: int, writable: bool) -> None:
        self.path, self._file = path, os.fstat(file)
        access = mmap.ACCESS_WRITE if writable else mmap.ACCESS_READ
        self._map = mmap.mmap(file, 0, access=access)
        self._words: I64 = np.frombuffer(self._map, dtype="<i8", count=HEADER // 8)
        if self._words[_Slot.MAGIC] != MAGIC:
            raise InputError(where=str(path), expected="a ring", got="another file")
        self.n_channels = int(self._words[_Slot.CHANNELS])
        self.dtype = np.dtype(DTYPES[int(self._words[_Slot.DTYPE])])
        self.capacity = n = int(self._words[_Slot.CAPACITY])
        at = HEADER
        self._events = np.frombuffer(self._map, dtype=EVENT, count=MAX_EVENTS, offset=at)
        at += self._events.nbytes
        columns = np.frombuffer(self._map, dtype="<i8", count=3 * n, offset=at).reshape(3, n)
        self._index, self._counter, self._arrival = columns
        at += columns.nbytes
        count = n * self.n_channels
        self._data = np.frombuffer(self._map, dtype=self.dtype, count=count, offset=at).reshape(
            n, self.n_channels
        )

    @classmethod
    def create(cls, path: Path, n_channels: int, dtype: Any, capacity: int, first: int = 0) -> Self:
        """Make a new ring; the file must not exist.

        Parameters
        ----------
        path : Path
        n_channels, capacity : int
        dtype : dtype-like
        first : int
            Place of the first sample to come; those before it lie in shards and log only.

        Raises
        ------
        OutputError
            No room for it, or it exists.
        """
        code = DTYPES.index(np.dtype(dtype).name)
        size = HEADER + MAX_EVENTS * EVENT.itemsize
        size += capacity * (24 + n_channels * np.dtype(dtype).itemsize)
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            raise OutputError(f"{path}: no ring can be made there: {error.strerror}") from error
        try:
            # every page now, so that a full disk shows here and not as a bus error later
            os.posix_fallocate(file, 0, size)
            head = np.zeros(HEADER // 8, dtype="<i8")
            head[_Slot.MAGIC], head[_Slot.CHANNELS] = MAGIC, n_channels
            head[_Slot.DTYPE], head[_Slot.CAPACITY] = code, capacity
            head[_Slot.BOOT] = boot_number()
            head[[_Slot.RECEIVED, _Slot.LOGGED, _Slot.COMMITTED, _Slot.CLAIM]] = first
            head[_Slot.FIRST] = first
            os.pwrite(file, head.tobytes(), 0)
            return cls(path, file, True)
        except OSError as error:
            path.unlink(missing_ok=True)
            raise OutputError(f"{path}: no room for a ring of {size} bytes") from error
        finally:
            os.close(file)

    @classmethod
    def attach(cls, path: Path, *, writable: bool = False) -> Self:
        """Open a ring that another process made."""
        try:
            file = os.open(path, os.O_RDWR if writable else os.O_RDONLY)
        except OSError as error:
            raise InputError(where=str(path), expected="a ring", got=str(error.strerror)) from error
        try:
            return cls(path, file, writable)
        except ValueError as error:
            raise InputError(where=str(path), expected="a ring", got=str(error)) from error
        finally:
            os.close(file)

    def close(self) -> None:
        """Let go of the mapping; the file stays."""
        del self._words, self._events, self._index, self._counter, self._arrival, self._data
        # where somebody still holds a view the mapping goes when that does
        with contextlib.suppress(BufferError):
            self._map.close()

    # counters, all in stored samples

    @property
    def received(self) -> int:
        """How many samples are in the ring or have passed through it."""
        return int(self._words[_Slot.RECEIVED])

    @property
    def logged(self) -> int:
        """How many samples are written to the log, synced or not."""
        return int(self._words[_Slot.LOGGED])

    @logged.setter
    def logged(self, value: int) -> None:
        self._words[_Slot.LOGGED] = value

    @property
    def committed(self) -> int:
        """How many samples are acknowledged: on the disk, whatever dies."""
        return int(self._words[_Slot.COMMITTED])

    @committed.setter
    def committed(self, value: int) -> None:
        self._words[_Slot.COMMITTED] = value

    @property
    def sealed(self) -> int:
        """How many samples lie in sealed shards."""
        return int(self._words[_Slot.SEALED])

    @sealed.setter
    def sealed(self, value: int) -> None:
        self._words[_Slot.SEALED] = value

    @property
    def state(self) -> State:
        """What the writer says of itself."""
        return State(int(self._words[_Slot.STATE]))

    @state.setter
    def state(self, value: State) -> None:
        self._words[_Slot.STATE] = int(value)

    @property
    def heartbeat(self) -> int:
        """`time.monotonic_ns` of the writer's last sign of life."""
        return int(self._words[_Slot.HEARTBEAT])

    @heartbeat.setter
    def heartbeat(self, value: int) -> None:
        self._words[_Slot.HEARTBEAT] = value

    @property
    def generation(self) -> int:
        """How many processes have written this ring."""
        return int(self._words[_Slot.GENERATION])

    @generation.setter
    def generation(self, value: int) -> None:
        self._words[_Slot.GENERATION] = value

    @property
    def of_this_boot(self) -> bool:
        """Whether the machine has run on since the ring was made."""
        return int(self._words[_Slot.BOOT]) == boot_number()

    @property
    def first(self) -> int:
        """Place of the first sample that came into this ring."""
        return int(self._words[_Slot.FIRST])

    @property
    def replaced(self) -> bool:
        """Whether a recorder that found this ring gone has made another one under its name."""
        try:
            return not os.path.samestat(os.stat(self.path), self._file)
        except OSError:
            return False

    @property
    def oldest(self) -> int:
        """The first stored sample that has not been written over."""
        return max(int(self._words[_Slot.CLAIM]) - self.capacity, self.first)

    # writing

    def room(self) -> int:
        """Return how many samples may be written without losing any that are not committed."""
        return self.capacity - (self.received - self.committed)

    def write(self, data: npt.NDArray[Any], start: int, counter: int, arrival_ns: int) -> None:
        """Append samples that follow each other.

        Parameters
        ----------
        data : array, axes (sample, channel)
        start : int
            Absolute index of the first.
        counter : int
            The device's number of the first; -1 where it has none.
        arrival_ns : int
        """
        n, at = len(data), self.received
        if n > self.capacity:
            raise InputError(where="ring", expected=f"at most {self.capacity}", got=f"{n} samples")
        # said before anything is overwritten, so that a reader can tell what it may have caught
        self._words[_Slot.CLAIM] = at + n
        done = 0
        while done < n:
            place = (at + done) % self.capacity
            m = min(self.capacity - place, n - done)
            self._data[place : place + m] = data[done : done + m]
            self._index[place : place + m] = np.arange(start + done, start + done + m)
            first = counter + done if counter >= 0 else -1
            step = 1 if counter >= 0 else 0
            self._counter[place : place + m] = first + step * np.arange(m)
            self._arrival[place : place + m] = arrival_ns
            done += m
        self._words[_Slot.RECEIVED] = at + n

    def note_event(self, sample: int, code: int, channel: str) -> None:
        """Append a trigger (absolute sample)."""
        n = int(self._words[_Slot.EVENTS])
        self._events[n % MAX_EVENTS] = (sample, code, channel.encode()[:48])
        self._words[_Slot.EVENTS] = n + 1

    # reading

    def read(self, first: int, last: int) -> list[Stretch]:
        """Return copies of the stored samples [first, last), cut at gaps.

        Raises
        ------
        Overrun
            Some of them have been written over.
        InputError
            Some of them have not come yet.
        """
        if last > self.received:
            raise InputError(
                where="ring", expected=f"at most {self.received} samples", got=str(last)
            )
        places = np.arange(first, last) % self.capacity
        whole = slice(int(places[0]), int(places[0]) + last - first) if last > first else slice(0)
        at: Any = whole if whole.stop <= self.capacity else places
        data, index = self._data[at].copy(), self._index[at].copy()
        counter, arrival = self._counter[at].copy(), self._arrival[at].copy()
        if self.oldest > first:
            raise Overrun(self.oldest)
        cuts = [0, *(np.flatnonzero(np.diff(index) != 1) + 1).tolist(), len(index)]
        return [
            Stretch(data[a:b], int(index[a]), first + a, int(counter[a]), arrival[a:b])
            for a, b in pairwise(cuts)
            if a < b
        ]

    def last_arrival(self) -> int:
        """Return the `time.monotonic_ns` at which the newest sample came; 0 before the first."""
        n = self.received
        return int(self._arrival[(n - 1) % self.capacity]) if n > self.first else 0

    def views(self, first: int, last: int) -> list[Stretch]:
        """Return the stored samples [first, last) where they lie, cut at gaps and where it wraps.

        For the writer alone, who knows that nothing of it will be written over meanwhile.
        """
        out, at = [], first
        while at < last:
            place = at % self.capacity
            m = min(self.capacity - place, last - at)
            index = self._index[place : place + m]
            cuts = [0, *(np.flatnonzero(np.diff(index) != 1) + 1).tolist(), m]
            for a, b in pairwise(cuts):
                here = slice(place + a, place + b)
                counter = int(self._counter[place + a])
                out.append(
                    Stretch(self._data[here], int(index[a]), at + a, counter, self._arrival[here])
                )
            at += m
        return out

    def events(self, since: int) -> tuple[int, list[tuple[int, int, str]]]:
        """Return the number of triggers so far and those from the ``since``-th on.

        At most the last `MAX_EVENTS` are held.
        """
        n = int(self._words[_Slot.EVENTS])
        held = range(max(since, n - MAX_EVENTS), n)
        rows = [self._events[i % MAX_EVENTS] for i in held]
        return n, [(int(r["sample"]), int(r["code"]), r["channel"].decode()) for r in rows]
