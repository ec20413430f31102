"""``tcp:HOST:PORT`` and ``unix:PATH``: the framed live protocol from a vendor's bridge."""

from __future__ import annotations

import math
import socket
import time
from collections import deque
from collections.abc import Callable
from typing import Final

import numpy as np

from brainforge.acquisition import framed
from brainforge.acquisition.device_clock import DeviceClock
from brainforge.acquisition.driver import ConnectionLost, Ended, Marker, Packet
from brainforge.acquisition.framed import Frame, FrameError, Kind
from brainforge.acquisition.framed_info import Hello, read_hello
from brainforge.acquisition.framed_link import Link, Target
from brainforge.errors import InputError
from brainforge.info import Info

#: seconds a sender has for each step of the greeting
GREETING_S: Final = 2.0
#: seconds between two questions for the device's time
PING_S: Final = 1.0


def driver(address: str, *, dead_s: float = 3.0) -> FramedDriver:
    """Return the Driver of ``tcp:HOST:PORT`` or ``unix:PATH``.

    Parameters
    ----------
    address : str
        The scheme may be left out: what holds a ``/`` is a path.
    dead_s : float
        Seconds without any byte, answers to our pings included, after which the connection
        counts as lost.

    Raises
    ------
    InputError
        It is no such address.
    """
    scheme, _, rest = address.partition(":")
    if scheme == "unix" or (scheme != "tcp" and "/" in address):
        path = rest if scheme == "unix" else address
        return FramedDriver(f"unix:{path}", lambda: (socket.AF_UNIX, path), dead_s=dead_s)
    text = rest if scheme == "tcp" else address
    host, _, port = text.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise InputError(
            where=f"source tcp:{text}", expected="tcp:HOST:PORT", got=repr(text),
            fix="name a host and a port from 1 to 65535",
        )  # fmt: skip
    host = host.removeprefix("[").removesuffix("]")

    def resolve() -> Target:
        found = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)[0]
        return found[0], found[4]

    return FramedDriver(f"tcp:{text}", resolve, dead_s=dead_s)


class FramedDriver:
    """Driver of the framed protocol.

    Parameters
    ----------
    name : str
    target : callable
        Returns (socket family, address); asked at every attempt.
    dead_s : float
    monotonic : callable

    Attributes
    ----------
    counter_bits : int | None
    """

    def __init__(
        self,
        name: str,
        target: Callable[[], Target],
        *,
        dead_s: float = 3.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.counter_bits: int | None = None
        self._link = Link(name, target, monotonic)
        self._clock = DeviceClock()
        self._dead_s, self._now = dead_s, monotonic
        self._hello: Hello | None = None
        self._markers: list[Marker] = []
        self._recent: deque[framed.MarkerData] = deque(maxlen=64)
        self._ending: Exception | None = None
        self._strange, self._asked = 0, 0.0
        self._anew = False

    @property
    def refused(self) -> int:
        """Frames of this connection with a wrong checksum or contents.

        The samples in them show as a gap of the counter.
        """
        return self._link.reader.refused + self._strange

    @property
    def clock_offset(self) -> float:
        """Device's clock minus `time.monotonic`, seconds; NaN before the first answer."""
        return self._clock.offset

    def open(self, resume: int | None) -> Info:
        """Connect, read the HELLO, ask for the device's time, then for the samples.

        A sender that was started anew since is asked for all it has kept.

        Raises
        ------
        InputError
            Something else than a sender of this protocol answers.
        ConnectionLost
            Nobody answers, or too slowly.
        """
        self.close()
        try:
            self._link.connect(GREETING_S)
            hello = read_hello(self._await(Kind.HELLO))
            self._ping()
            self._answer(self._await(Kind.PONG))
            self._link.send(framed.encode_resume(self._wanted(hello, resume)))
        except FrameError as error:
            self.close()
            raise InputError(
                where=f"source {self.name}", expected="the answer to a PING", got=str(error)
            ) from error
        except BaseException:
            self.close()
            raise
        self._hello, self.counter_bits = hello, hello.counter_bits
        return hello.info

    def _wanted(self, hello: Hello, resume: int | None) -> int:
        """Return what to ask a sender for, and note whether it was started anew."""
        if self._hello is not None and self._hello.session != hello.session:
            self._anew = True
            return framed.ALL_KEPT
        if resume is None:
            return framed.FROM_NOW
        return resume if hello.counter_bits is None else resume % (1 << hello.counter_bits)

    def receive(self, timeout: float) -> list[Packet]:
        """Return what has come, waiting at most ``timeout`` seconds.

        Raises
        ------
        ConnectionLost
            The connection broke, nothing came for ``dead_s`` or the sender changed its stream.
        Ended
            The sender has said BYE.
        """
        until = self._now() + timeout
        while True:
            ending = self._ending or self._link.lost
            if ending is not None:
                raise ending
            more = self._link.wait(min(until - self._now(), PING_S))
            packets = self._packets(self._link.read()) if more else []
            self._keep_alive()
            if packets or more is None or self._now() >= until:
                return packets

    def close(self) -> None:
        """Let go of the connection."""
        self._link.close()
        self._clock, self._ending, self._strange = DeviceClock(), None, 0

    def wake(self) -> None:
        """Let a waiting `receive` or `open` return at once."""
        self._link.wake()

    # the greeting and the clock

    def _await(self, kind: Kind) -> bytes:
        """Return the payload of the next frame of a kind, while the greeting lasts."""
        until = self._now() + GREETING_S
        while self._now() < until:
            if self._link.lost is not None:
                raise self._link.lost
            more = self._link.wait(until - self._now())
            if more is None:
                raise ConnectionLost(f"{self.name}: stopped while it was being connected")
            found = [f for f in self._link.read() if f.kind == kind] if more else []
            if found:
                return found[0].payload
            if self._hello is None and self._link.reader.skipped:
                raise InputError(
                    where=f"source {self.name}", expected="the framed live protocol",
                    got="other bytes", fix="check the port; see docs/live-protocol.md",
                )  # fmt: skip
        raise ConnectionLost(f"{self.name}: no {kind.name} within {GREETING_S:g} s")

    def _keep_alive(self) -> None:
        now, heard = self._now(), self._link.heard
        if heard < self._asked <= now - self._dead_s:
            self._ending = ConnectionLost(f"{self.name}: no sign of life for {self._dead_s:g} s")
        elif heard >= self._asked and now - self._asked >= PING_S:
            self._ping()

    def _ping(self) -> None:
        self._asked = self._now()
        self._link.send(framed.encode_ping(self._asked))

    def _answer(self, payload: bytes) -> None:
        asked, device = framed.read_pong(payload)
        self._clock.answer(asked, self._now(), device)

    # frames to packets

    def _packets(self, frames: list[Frame]) -> list[Packet]:
        packets = []
        for frame in frames:
            try:
                packet = self._take(frame)
            except FrameError:
                self._strange += 1
                continue
            if packet is not None:
                packets.append(packet)
            if self._ending is not None:
                break
        return packets

    def _take(self, frame: Frame) -> Packet | None:
        if frame.kind == Kind.DATA:
            return self._data(framed.read_data(frame.payload))
        if frame.kind == Kind.MARKER:
            marker = framed.read_marker(frame.payload)
            # one sent late comes again after a cut, with the samples behind it
            if marker not in self._recent:
                self._recent.append(marker)
                self._markers.append(Marker(marker.code, marker.label, counter=marker.counter))
        elif frame.kind == Kind.PONG:
            self._answer(frame.payload)
        elif frame.kind == Kind.BYE:
            self._link.send(framed.encode_bye(""))
            reason = frame.payload.decode(errors="replace")
            self._ending = Ended(f"{self.name}: the sender ended the stream {reason}".strip())
            return self._last_markers()
        elif frame.kind == Kind.HELLO and read_hello(frame.payload) != self._hello:
            # opened anew, so that whoever uses the stream can compare and refuse it
            self._ending = ConnectionLost(f"{self.name}: the sender announced another stream")
        return None

    def _data(self, data: framed.Data) -> Packet:
        assert self._hello is not None, "samples before a HELLO"
        n = len(data.samples)
        counters = np.arange(data.counter, data.counter + n, dtype=np.int64)
        if self.counter_bits is not None:
            counters &= (1 << self.counter_bits) - 1
        first = data.stamp - self._clock.offset
        stamps = None
        if math.isfinite(first):
            stamps = np.arange(n) / self._hello.info.sfreq + first
        anew, self._anew = self._anew, False
        return Packet(
            data.samples, self._link.heard, counters, stamps, self._taken_markers(), anew=anew
        )

    def _taken_markers(self) -> tuple[Marker, ...]:
        markers, self._markers = tuple(self._markers), []
        return markers

    def _last_markers(self) -> Packet | None:
        """Return the markers behind which no samples came, as a packet without samples."""
        if not self._markers:
            return None
        assert self._hello is not None, "markers before a HELLO"
        nothing = np.empty((0, self._hello.info.n_channels), dtype=self._hello.dtype)
        return Packet(nothing, self._link.heard, markers=self._taken_markers())
