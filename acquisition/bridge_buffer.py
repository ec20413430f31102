"""SendBuffer: the frames of the last seconds, for receivers that come late or come back."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from threading import Lock

from brainforge.acquisition.framed import HEAD, Data, encode_data, read_data


@dataclass(frozen=True, slots=True)
class Entry:
    """A frame that was sent or will be.

    Parameters
    ----------
    frame : bytes
    counter : int
        The device's number of its first sample; of a marker the sample it belongs to.
    n_samples : int
        0 for a marker.
    """

    frame: bytes
    counter: int
    n_samples: int


class SendBuffer:
    """Frames by their number, which never begins again; the oldest go when it is full.

    Safe to use from several threads; nobody holds it for longer than it takes to move a
    reference.

    Parameters
    ----------
    keep : int
        Samples held at most; at least the newest frame is kept.
    sfreq : float
    counter_bits : int | None

    Attributes
    ----------
    dropped : int
        Samples that went before any receiver had them.
    """

    def __init__(self, keep: int, sfreq: float, counter_bits: int | None) -> None:
        self._keep, self._sfreq = keep, sfreq
        self._bits = counter_bits or 63
        self._entries: deque[Entry] = deque()
        self._first = self._held = self._delivered = 0
        self._lock = Lock()
        self.dropped = 0

    @property
    def end(self) -> int:
        """Number of the frame that comes next."""
        return self._first + len(self._entries)

    def append(self, entry: Entry) -> None:
        """Take the newest frame; let go of the oldest where there are too many."""
        with self._lock:
            self._entries.append(entry)
            self._held += entry.n_samples
            while len(self._entries) > 1 and self._held > self._keep:
                gone = self._entries.popleft()
                self._held -= gone.n_samples
                if self._first >= self._delivered:
                    self.dropped += gone.n_samples
                self._first += 1

    def take(self, number: int) -> tuple[int, bytes] | None:
        """Return a frame for a receiver, and its number: the next one held; None where none is."""
        with self._lock:
            number = max(number, self._first)
            at = number - self._first
            if at >= len(self._entries):
                return None
            self._delivered = max(self._delivered, number + 1)
            return number, self._entries[at].frame

    def since(self, counter: int) -> tuple[int, bytes]:
        """Return where to go on for a receiver that wants everything from ``counter`` on.

        Returns
        -------
        number : int
            The next frame to send.
        rest : bytes
            To be sent before it: the rest of a frame in whose middle the counter lies.
        """
        with self._lock:
            number, rest = self.end, b""
            # from the newest back: of a counter that wraps the last time round is meant
            for at in range(len(self._entries) - 1, -1, -1):
                entry = self._entries[at]
                skip = self._signed(counter - entry.counter)
                if skip <= 0:
                    number = self._first + at
                elif entry.n_samples:
                    rest = self._without(entry, skip) if skip < entry.n_samples else b""
                    break
            return number, rest

    def _signed(self, difference: int) -> int:
        """Return a difference of two counters that may have wrapped."""
        half = 1 << (self._bits - 1)
        return (difference + half) % (2 * half) - half

    def _without(self, entry: Entry, skip: int) -> bytes:
        data = read_data(entry.frame[HEAD:])
        counter = (data.counter + skip) % (1 << self._bits)
        return encode_data(Data(counter, data.stamp + skip / self._sfreq, data.samples[skip:]))
