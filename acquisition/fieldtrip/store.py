"""What a FieldTrip buffer holds: a header, the last samples and the last events.

It knows the protocol's numbering and nothing of sockets. Memory is bounded by what was set when it
was made; numbers of samples never wrap here, only on the wire.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from brainforge.acquisition.fieldtrip.codec import WRAP, Header, unwrap
from brainforge.acquisition.fieldtrip.events import AUTO_SAMPLE, Event

#: events held, and the bytes they may take together
MAX_EVENTS: Final = 10_000
MAX_EVENTS_BYTES: Final = 16 << 20


class NotThere(Exception):
    """What was asked for is not in the buffer, or what came does not fit it."""


class Samples:
    """A ring of samples in the header's dtype.

    Parameters
    ----------
    header : Header
    capacity : int
        How many samples it holds.
    first : int
        Number of the first sample that will come.
    """

    def __init__(self, header: Header, capacity: int, first: int = 0) -> None:
        self._ring: npt.NDArray[Any] = np.empty((capacity, header.n_channels), header.dtype)
        self._bytes = self._ring.data.cast("B")
        self._frame = header.frame_bytes
        self.capacity = capacity
        self._first = first
        self.count = first

    @property
    def oldest(self) -> int:
        """Number of the oldest sample that is still there."""
        return max(self._first, self.count - self.capacity)

    def append(self, data: memoryview, n_samples: int) -> None:
        """Take samples in this machine's byte order; more than the ring holds are refused."""
        if n_samples > self.capacity:
            raise NotThere(f"{n_samples} samples at once, the ring holds {self.capacity}")
        at = self.count % self.capacity * self._frame
        head = min(len(data), len(self._bytes) - at)
        self._bytes[at : at + head] = data[:head]
        self._bytes[: len(data) - head] = data[head:]
        self.count += n_samples

    def views(self, first: int, stop: int) -> list[tuple[int, memoryview]]:
        """Return views of the samples [first, stop) in order, each with its first number."""
        if not self.oldest <= first < stop <= self.count:
            raise NotThere(f"samples {first} to {stop - 1} of {self.oldest} to {self.count - 1}")
        views = []
        while first < stop:
            place = first % self.capacity
            n = min(stop - first, self.capacity - place)
            a = place * self._frame
            views.append((first, self._bytes[a : a + n * self._frame]))
            first += n
        return views


class Store:
    """Header, samples and events.

    Parameters
    ----------
    seconds : float
        Length of the ring at the header's sampling rate.
    max_bytes : int
        Bound on the ring, whatever the header says.
    first_sample : int
        Number of the first sample after a new header; other than 0 to see what happens when
        counts grow large.
    """

    def __init__(self, seconds: float, max_bytes: int, first_sample: int = 0) -> None:
        self._seconds, self._max_bytes, self._first = seconds, max_bytes, first_sample
        self.header: Header | None = None
        self.samples: Samples | None = None
        self._clear_events()

    def _clear_events(self) -> None:
        self._events: deque[Event] = deque()
        self._events_bytes = 0
        self.n_events = 0

    @property
    def n_samples(self) -> int:
        """How many samples have been written since the header."""
        return self.samples.count if self.samples else 0

    def put_header(self, header: Header) -> None:
        """Begin anew.

        Raises
        ------
        NotThere
            No room for the ring.
        """
        capacity = int(min(self._seconds * header.sfreq, self._max_bytes // header.frame_bytes))
        try:
            samples = Samples(header, max(capacity, 1), self._first)
        except MemoryError as error:
            raise NotThere("no memory for the ring") from error
        self.header, self.samples = header, samples
        self._clear_events()

    def get_header(self) -> Header:
        """Return the header with the counts of now."""
        if self.header is None:
            raise NotThere("no header")
        return replace(self.header, n_samples=self.n_samples, n_events=self.n_events)

    def put_data(self, shape: tuple[int, int, int], data: memoryview) -> None:
        """Append samples; ``shape`` is channels, samples, data type."""
        if self.header is None or self.samples is None:
            raise NotThere("samples without a header")
        if (shape[0], shape[2]) != (self.header.n_channels, self.header.data_type):
            raise NotThere(
                f"{shape[0]} channels of type {shape[2]}, the header says"
                f" {self.header.n_channels} of type {self.header.data_type}"
            )
        self.samples.append(data, shape[1])

    def select(self, first: int, last: int) -> list[tuple[int, memoryview]]:
        """Return views of samples, numbered as on the wire, both ends included."""
        if self.samples is None:
            raise NotThere("no samples")
        near = self.samples.count
        return self.samples.views(unwrap(first, near), unwrap(last, near) + 1)

    def everything(self) -> list[tuple[int, memoryview]]:
        """Return views of all samples that are there."""
        if self.samples is None:
            raise NotThere("no samples")
        return self.samples.views(self.samples.oldest, self.samples.count)

    def put_events(self, events: list[Event]) -> None:
        """Append events; those without a sample get the number of the next one to come."""
        if self.header is None:
            raise NotThere("events without a header")
        now = (self.n_samples + WRAP // 2) % WRAP - WRAP // 2
        for event in events:
            if event.sample == AUTO_SAMPLE:
                event = replace(event, sample=now)
            self._events.append(event)
            self._events_bytes += event.nbytes
        self.n_events += len(events)
        while len(self._events) > MAX_EVENTS or self._events_bytes > MAX_EVENTS_BYTES:
            self._events_bytes -= self._events.popleft().nbytes

    def get_events(self, first: int | None = None, last: int | None = None) -> list[Event]:
        """Return events, numbered as on the wire, both ends included, or all that are there."""
        oldest = self.n_events - len(self._events)
        begin = oldest if first is None else unwrap(first, self.n_events)
        stop = self.n_events if last is None else unwrap(last, self.n_events) + 1
        if not oldest <= begin < stop <= self.n_events:
            raise NotThere(f"events {begin} to {stop - 1} of {oldest} to {self.n_events - 1}")
        held = list(self._events)
        return held[begin - oldest : stop - oldest]

    def flush_samples(self) -> None:
        """Forget the samples; their numbers begin anew."""
        if self.header is None:
            raise NotThere("no header")
        capacity = self.samples.capacity if self.samples else 1
        self.samples = Samples(self.header, capacity, self._first)

    def flush_events(self) -> None:
        """Forget the events; their numbers begin anew."""
        if self.header is None:
            raise NotThere("no header")
        self._clear_events()

    def flush(self) -> None:
        """Forget everything."""
        if self.header is None:
            raise NotThere("no header")
        self.header = self.samples = None
        self._clear_events()

    def passed(self, samples: int, events: int) -> bool:
        """Tell whether there are more than so many samples or events, as WAIT_DAT counts."""
        return _more(self.n_samples, samples) or _more(self.n_events, events)


def _more(count: int, threshold: int) -> bool:
    """Compare a count with a threshold that came as u32; the highest one means never."""
    if count < WRAP:
        return count > threshold
    return threshold != WRAP - 1 and count > unwrap(threshold, count)
