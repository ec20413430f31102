"""``replay:PATH``: a recording or archive as if it came from its device now, or faster."""

from __future__ import annotations

import math
import re
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from brainforge.acquisition.driver import Ended, Marker, Packet
from brainforge.acquisition.look_ahead import Exhausted, LookAhead
from brainforge.errors import InputError
from brainforge.info import Info
from brainforge.recording import Recording

#: seconds read at a time and how many such stretches are read ahead
CHUNK_S: Final = 1.0
DEPTH: Final = 6
#: packets handed out at once at most, when none has to be waited for
AT_ONCE: Final = 20
#: longer gaps are not waited for
LONGEST_GAP_S: Final = 1.0
_SPEED: Final = re.compile(r"^(?P<path>.*),speed=(?P<speed>[^,/]*)$")


def driver(address: str, *, speed: float | str = 1.0, packet_s: float = 0.05) -> RecordingDriver:
    """Return the Driver of ``replay:PATH`` or ``replay:PATH,speed=4``.

    Parameters
    ----------
    address : str
        What `brainforge.readers.open_recording` opens, archives included.
    speed : float | str
        1 at the pace it was recorded, 4 four times as fast, ``"max"`` without waiting.
    packet_s : float
        Seconds of a packet.

    Raises
    ------
    InputError
        A speed that is none. That the file cannot be read shows when it is opened.
    """
    path = address.removeprefix("replay:")
    written = _SPEED.match(path)
    if written:
        path, speed = written["path"], written["speed"]

    def recording() -> Recording:
        from brainforge.readers import open_recording

        return open_recording(Path(path))

    return RecordingDriver(f"replay:{path}", recording, parse_speed(speed), packet_s=packet_s)


def parse_speed(speed: float | str) -> float:
    """Return a speed as a number, infinite for ``"max"``."""
    try:
        value = math.inf if speed == "max" else float(speed)
    except ValueError:
        value = math.nan
    if not value > 0:
        raise InputError(where="speed", expected="a number above 0, or max", got=repr(speed))
    return value


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Samples read ahead, (sample, channel), from the absolute sample ``start`` on."""

    start: int
    data: npt.NDArray[Any]
    cause: str


class RecordingDriver:
    """Plays a Recording. Counters are its absolute samples, so its gaps stay exact.

    Trigger channels come as the samples they are; only events that are in none of them become
    markers. It reads ahead on a thread of its own, so packets come on time. Whoever opens it
    anew goes on where it was left: nothing is lost while nobody listens.

    Parameters
    ----------
    name : str
    recording : callable
        Returns the recording; asked at the first `open`.
    speed : float
        How many times as fast as it was recorded; infinite for without waiting.
    packet_s : float
        Seconds of a packet; shorter ones stand before a gap.
    monotonic : callable
    """

    counter_bits: int | None = None

    def __init__(
        self,
        name: str,
        recording: Callable[[], Recording],
        speed: float = 1.0,
        *,
        packet_s: float = 0.05,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        if not packet_s > 0:
            raise InputError(where="packet_s", expected="seconds above 0", got=str(packet_s))
        self.name = name
        self._make, self._speed, self._packet_s = recording, speed, packet_s
        self._now = monotonic
        self._recording: Recording | None = None
        self._ahead: LookAhead[_Chunk] | None = None
        self._markers: list[Marker] = []
        self._places: list[int] = []
        self._next = self._done = 0
        self._origin = math.nan

    def open(self, resume: int | None) -> Info:
        """Open the recording and begin to play, at the absolute sample ``resume``.

        Raises
        ------
        ReadError
            It cannot be read.
        """
        self.close()
        if self._recording is None:
            self._recording = self._make()
            self._find_markers(self._recording)
        recording = self._recording
        first = recording.start if resume is None else max(resume, recording.start)
        self._next = bisect_left(self._places, first)
        self._done, self._origin = 0, math.nan
        self._ahead = LookAhead(_chunks(recording, first), DEPTH)
        return recording.info

    def receive(self, timeout: float) -> list[Packet]:
        """Return the packets that are due, waiting at most ``timeout`` seconds for the first.

        Raises
        ------
        Ended
            The recording is over.
        ReadError
            It turned out to be damaged.
        """
        assert self._ahead is not None, "a driver that is not open"
        until = self._now() + timeout
        packets: list[Packet] = []
        while len(packets) < AT_ONCE:
            try:
                chunk = self._ahead.peek()
            except Exhausted:
                if packets:
                    break
                raise Ended(f"{self.name}: the recording is over") from None
            due = math.inf if chunk is None else self._due(chunk)
            now = self._now()
            if chunk is not None and due <= now:
                packets.append(self._packet(chunk, now))
            elif packets or now >= until or self._ahead.wait(min(due, until) - now):
                break
        return packets

    def close(self) -> None:
        """Stop reading ahead."""
        if self._ahead is not None:
            self._ahead.close()
            self._ahead = None

    def wake(self) -> None:
        """Let a waiting `receive` return at once."""
        ahead = self._ahead
        if ahead is not None:
            ahead.ring()

    # pace

    @property
    def _sfreq(self) -> float:
        assert self._recording is not None, "a driver that is not open"
        return self._recording.info.sfreq

    def _size(self, chunk: _Chunk) -> int:
        """Return how many samples the next packet has."""
        return min(max(round(self._packet_s * self._sfreq), 1), len(chunk.data) - self._done)

    def _due(self, chunk: _Chunk) -> float:
        """Return when the last sample of the next packet is taken."""
        if math.isinf(self._speed):
            return -math.inf
        rate = self._sfreq * self._speed
        first = chunk.start + self._done
        last = first + self._size(chunk)
        if math.isnan(self._origin):
            self._origin = self._now() - first / rate
        if chunk.cause and not self._done:
            # a pause that nobody wants to sit through is left out of the pace
            longest = self._now() + LONGEST_GAP_S
            self._origin = min(self._origin, longest - first / rate)
        return self._origin + last / rate

    def _packet(self, chunk: _Chunk, now: float) -> Packet:
        """Return the next packet of a chunk and go on behind it."""
        first, size = chunk.start + self._done, self._size(chunk)
        data = chunk.data[self._done : self._done + size]
        cause = "" if self._done else chunk.cause
        counters = np.arange(first, first + size, dtype=np.int64)
        # at another speed the time at which a sample was taken means nothing
        stamps = self._origin + (counters + 1) / self._sfreq if self._speed == 1.0 else None
        stop = bisect_left(self._places, first + size, lo=self._next)
        markers, self._next = tuple(self._markers[self._next : stop]), stop
        self._done += size
        if self._done == len(chunk.data):
            assert self._ahead is not None
            self._ahead.drop()
            self._done = 0
        return Packet(data, now, counters, stamps, markers, cause)

    def _find_markers(self, recording: Recording) -> None:
        stim = set(recording.info.names_of("stim"))
        events = sorted((e for e in recording.events if e.channel not in stim), key=_place)
        self._markers = [Marker(e.code, e.channel, counter=e.sample) for e in events]
        self._places = [e.sample for e in events]


def _place(event: Any) -> int:
    return int(event.sample)


def _chunks(recording: Recording, first: int) -> Iterator[_Chunk]:
    """Yield the samples from ``first`` on, never across a gap, with the cause of one before."""
    size = max(round(CHUNK_S * recording.info.sfreq), 1)
    causes = {gap.stop: gap.cause for gap in recording.gaps}
    for start, stop in recording.segments:
        at = max(start, first)
        cause = causes.get(start, "") if at == start else ""
        while at < stop:
            end = min(stop, (at // size + 1) * size)
            data = np.ascontiguousarray(recording.read(at, end).data.T)
            yield _Chunk(at, data, cause)
            at, cause = end, ""
