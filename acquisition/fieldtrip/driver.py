"""``fieldtrip:HOST:PORT``: what comes into a FieldTrip buffer, sample by sample, by its numbers.

The numbers of samples are exact counters. One sample that is known already is asked for along with
the new ones: where it is another one the buffer has begun anew behind our back, which the counts
alone would not tell.
"""

from __future__ import annotations

import contextlib
import math
import os
import select
import threading
import time
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from brainforge.acquisition.driver import ConnectionLost, Marker, Packet
from brainforge.acquisition.fieldtrip.client import Client, Refused
from brainforge.acquisition.fieldtrip.codec import PORT, WRAP, Header, unwrap
from brainforge.acquisition.fieldtrip.events import Event
from brainforge.acquisition.fieldtrip.layout import Options, info_of, stored_dtype
from brainforge.errors import InputError
from brainforge.info import Info

#: seconds for a connection, and for an answer that is due
PATIENCE: Final = 5.0
#: what is fetched at once
MAX_FETCH: Final = 8 << 20
#: samples that a search for the oldest one steps ahead, because it may have gone meanwhile
STEPS: Final = (0, 16, 256, 4096)
#: how far a count may have gone on past 2**32 while nobody listened
MAX_WRAPPED: Final = 1 << 28
#: pause where a server answers a wait at once although nothing is new
IDLE_S: Final = 0.01
Array = npt.NDArray[Any]

ANEW: Final = "the buffer began anew"


class FieldTripDriver:
    """Reads one buffer; keeps to `Driver`.

    Parameters
    ----------
    host, port : str, int
    options : Options
        What the protocol does not carry.
    """

    counter_bits: int | None = None

    def __init__(self, host: str, port: int, options: Options | None = None) -> None:
        self.name = f"fieldtrip:{host}:{port}"
        self._host, self._port, self._options = host, port, options or Options()
        self._client: Client | None = None
        self._lock = threading.Lock()
        self._bell = -1
        self._poll = select.poll()
        self._waiting_since: float | None = None
        self._due = 0.0
        #: number of the next sample, and of the next event
        self._at = self._events_at = 0
        #: the sample before the next one, to recognise the stream by
        self._last: bytes | None = None
        #: how many samples came the last time and the time before; how many are on their way
        self._sizes = 0, 0
        self._asked = 0
        #: what is to be said of the next samples
        self._cause, self._anew = "", False
        #: events of samples before this one are no news; None where all are
        self._events_from: int | None = None

    # opening and closing

    def open(self, resume: int | None) -> Info:
        """Connect; begin with the next sample to come, or with sample ``resume``."""
        self.close()
        client = self._connect()
        try:
            header = client.get_header()
            self._dtype = stored_dtype(header)
            info = info_of(header, self._options, self.name)
            self._client, self._header = client, header
            self._begin(header, resume)
            with self._lock:
                self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        except (OSError, Refused) as error:
            self.close()
            client.close()
            text = "nobody has put a header" if isinstance(error, Refused) else str(error)
            raise ConnectionLost(f"{self.name}: {text}") from error
        except BaseException:
            self.close()
            client.close()
            raise
        self._poll = select.poll()
        self._poll.register(client, select.POLLIN)
        self._poll.register(self._bell, select.POLLIN)
        return info

    def _connect(self) -> Client:
        try:
            return Client(self._host, self._port, timeout=PATIENCE)
        except OSError as error:
            raise ConnectionLost(f"{self.name}: {error}") from error

    def _begin(self, header: Header, resume: int | None) -> None:
        self._events_from = None
        self._sizes, self._asked, self._cause, self._anew = (0, 0), 0, "", False
        if resume is None:
            self._at, self._last = header.n_samples, None
            self._events_at = header.n_events
            return
        same = _count(header.n_samples, resume) is not None
        if same and self._last is not None and self._at == resume:
            same = self._is_known()
        else:
            self._last = None
        if not same:
            self._at, self._last, self._events_at, self._anew = 0, None, 0, True
        elif self._at != resume:
            # of the events that came while somebody else was here those from `resume` on are new
            self._at, self._events_at, self._events_from = resume, 0, resume

    def _is_known(self) -> bool:
        """Whether the last sample we had is still what it was, where it can be asked for."""
        assert self._client is not None
        try:
            again = self._client.get_data(self._header, self._at - 1, self._at - 1)
        except Refused:
            self._last = None
            return True
        return again.tobytes() == self._last

    def close(self) -> None:
        """Hang up."""
        with self._lock:
            bell, self._bell = self._bell, -1
            if bell >= 0:
                os.close(bell)
        if self._client is not None:
            self._client.close()
            self._client = None
        self._waiting_since = None

    def wake(self) -> None:
        """Let a waiting `receive` return."""
        with self._lock:
            if self._bell >= 0:
                os.eventfd_write(self._bell, 1)

    # receiving

    def receive(self, timeout: float) -> list[Packet]:
        """Return the samples that are new."""
        client = self._client
        if client is None:
            raise ConnectionLost(f"{self.name}: not connected")
        try:
            return self._receive(client, timeout)
        except (OSError, Refused) as error:
            raise ConnectionLost(f"{self.name}: {error}") from error

    def _receive(self, client: Client, timeout: float) -> list[Packet]:
        began = time.monotonic()
        if self._waiting_since is None:
            self._ask(client, timeout)
            self._waiting_since, self._due = began, began + timeout + PATIENCE
        ready = [file for file, _ in self._poll.poll(max(math.ceil(timeout * 1000), 0))]
        if self._bell in ready:
            with contextlib.suppress(BlockingIOError):
                os.eventfd_read(self._bell)
            return []
        if not ready:
            if time.monotonic() > self._due:
                raise ConnectionLost(f"{self.name}: no answer for {PATIENCE:.0f} s")
            return []
        self._waiting_since = None
        try:
            samples, events = client.hear_wait()
        except Refused:
            # some servers say ERR where time is up; without a header it is one for us as well
            header = client.get_header()
            samples, events = header.n_samples, header.n_events
        packets = self._fetch(client, samples, events)
        if not packets and time.monotonic() < began + min(IDLE_S, timeout):
            self._pause(began + min(IDLE_S, timeout) - time.monotonic())
        return packets

    def _ask(self, client: Client, timeout: float) -> None:
        """Ask for news, and in the same breath for as many samples as came the last two times."""
        n = self._sizes[0] if self._sizes[0] == self._sizes[1] and self._last is not None else 0
        self._asked, self._sizes = n, (0, self._sizes[0])
        then = (self._at - 1, self._at + n - 1) if n else None
        client.ask_wait(self._at, self._events_at, math.ceil(timeout * 1000), then)

    def _expected(self, client: Client) -> list[Packet]:
        """Return the samples that were asked for along with the news, where they have come."""
        n, self._asked = self._asked, 0
        if not n:
            return []
        try:
            data = client.hear_data(self._header, n + 1)
        except Refused:
            return []
        if data[0].tobytes() != self._last:
            raise ConnectionLost(ANEW)
        return [self._packet(self._at, data[1:])]

    def _packet(self, first: int, data: Array) -> Packet:
        """Take note of samples, and return them with their numbers."""
        arrival = time.monotonic()
        self._at, self._last = first + len(data), data[-1].tobytes()
        self._sizes = self._sizes[0] + len(data), self._sizes[1]
        if data.dtype != self._dtype:
            data = data.astype(self._dtype)
        cause, anew, self._cause, self._anew = self._cause, self._anew, "", False
        return Packet(data, arrival, np.arange(first, self._at), cause=cause, anew=anew)

    def _pause(self, seconds: float) -> None:
        """Wait for nothing but `wake`."""
        with contextlib.suppress(BlockingIOError):
            if select.select([self._bell], [], [], max(seconds, 0))[0]:
                os.eventfd_read(self._bell)

    def _fetch(self, client: Client, samples: int, events: int) -> list[Packet]:
        count = _count(samples, self._at)
        if count is None:
            raise ConnectionLost(ANEW)
        packets = self._expected(client)
        if count > self._at:
            packets.append(self._packet(*self._samples(client, count)))
        elif not packets and self._last is not None and not self._is_known():
            raise ConnectionLost(ANEW)  # and has by chance as many samples as before
        if events != self._events_at % WRAP:
            markers = self._markers(client, events)
            if markers:
                empty = np.empty((0, self._header.n_channels), self._dtype)
                none = np.empty(0, np.int64)
                packets.append(Packet(empty, time.monotonic(), none, markers=markers))
        return packets

    def _samples(self, client: Client, count: int) -> tuple[int, Array]:
        """Return the next samples, from where they are still to be had."""
        header, first = self._header, self._at
        most = max(MAX_FETCH // header.frame_bytes, 1)
        for step in STEPS:
            lead = 1 if self._last is not None and first == self._at else 0
            last = min(count, first + most) - 1
            try:
                data = client.get_data(header, first - lead, last)
            except Refused:
                self._last = None
                count = self._now(client)
                first = min(self._oldest(client, first, count) + step, count - 1)
                self._cause = "the buffer did not reach back so far"
                continue
            if lead and data[0].tobytes() != self._last:
                raise ConnectionLost(ANEW)
            return first, data[lead:]
        raise ConnectionLost(f"{self.name}: its samples go faster than they can be fetched")

    def _now(self, client: Client) -> int:
        count = _count(client.wait(0, 0, 0)[0], self._at)
        if count is None or count == self._at:
            raise ConnectionLost(ANEW)
        return count

    def _oldest(self, client: Client, low: int, high: int) -> int:
        """Return the oldest sample of [low, high) that the buffer still has, by halving."""
        newest = high - 1
        while low < newest:
            middle = (low + newest) // 2
            try:
                client.get_data(self._header, middle, middle)
                newest = middle
            except Refused:
                low = middle + 1
        return low

    # events

    def _markers(self, client: Client, count: int) -> tuple[Marker, ...]:
        """Return the events that are new."""
        if count < self._events_at % WRAP:
            self._events_at = 0  # they were flushed
        events: list[Event] = []
        if count > self._events_at:
            try:
                events = client.get_events(self._events_at, count - 1)
            except Refused:
                with contextlib.suppress(Refused):
                    events = client.get_events()
        self._events_at = count
        markers = tuple(_marker(event, self._at) for event in events)
        since, self._events_from = self._events_from, None
        return tuple(m for m in markers if since is None or (m.counter or 0) >= since)


def _count(wire: int, near: int) -> int | None:
    """Return how many samples there are, given that we have had ``near``; None if begun anew."""
    count = unwrap(wire, near)
    if count < near or (count // WRAP > near // WRAP and count - near > MAX_WRAPPED):
        return None
    return count


def _marker(event: Event, near: int) -> Marker:
    """Return the marker of an event; text that is no number has code 0 and is in the label."""
    kind, value = event.kind, event.value
    label = kind if isinstance(kind, str) else str(kind)
    code = 0
    try:
        code = int(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        label = f"{label}={value}" if label else str(value)
    return Marker(code, label, counter=unwrap(event.sample % WRAP, near))


def driver(address: str, **options: Any) -> FieldTripDriver:
    """Return the driver of ``HOST:PORT``, with options behind it: ``HOST:PORT,unit=fT``.

    Parameters
    ----------
    address : str
    **options
        Fields of `Options`; what stands in the address goes before.

    Raises
    ------
    InputError
        No address, or an option that there is not.
    """
    place, *pairs = address.split(",")
    host, _, port = place.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise InputError(
            where="source", expected="fieldtrip:HOST:PORT", got=repr(f"fieldtrip:{address}")
        )
    given: dict[str, Any] = {**options, **dict(pair.partition("=")[::2] for pair in pairs)}
    known = Options.__dataclass_fields__
    for key, value in given.items():
        if key not in known or value == "":
            raise InputError(
                where=f"fieldtrip:{address}",
                expected=f"options among {', '.join(known)}",
                got=f"{key}={value}",
            )
    return FieldTripDriver(host, int(port), Options(**_typed(given)))


def discover() -> list[dict[str, Any]]:
    """Return the buffer on this machine's usual port, where there is one with a header."""
    try:
        with Client("127.0.0.1", PORT, timeout=0.5) as client:
            header = client.get_header()
    except (OSError, Refused, InputError):
        return []
    source = f"fieldtrip:127.0.0.1:{PORT}"
    return [{"source": source, "channels": header.n_channels, "rate_hz": header.sfreq}]


def _typed(given: dict[str, Any]) -> dict[str, Any]:
    if isinstance(given.get("scale"), str):
        try:
            given["scale"] = float(given["scale"])
        except ValueError:
            raise InputError(
                where="option scale", expected="a number", got=repr(given["scale"])
            ) from None
    if isinstance(given.get("neuromag"), str):
        given["neuromag"] = given["neuromag"] not in ("off", "no", "0", "false")
    return given
