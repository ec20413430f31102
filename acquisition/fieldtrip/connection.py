"""One client of the server: what has come from it and what is still to go to it.

Nothing here waits. An answer is sent straight from the ring; should the writer come round to
samples that a slow client has not taken yet, that client is cut off and nobody else notices.
"""

from __future__ import annotations

import socket
from collections import deque
from dataclasses import dataclass
from typing import Final

from brainforge.acquisition.fieldtrip.codec import LITTLE, Malformed, Wire, wire_of
from brainforge.acquisition.fieldtrip.store import Samples

HEAD: Final = LITTLE.message.size
START_BYTES: Final = 64 << 10
#: buffers passed to the kernel at once
MAX_PARTS: Final = 16


class Gone(Exception):
    """The connection is of no further use; the text says why."""


@dataclass(frozen=True)
class Request:
    """A whole message as it came; ``payload`` holds until the next one is taken."""

    wire: Wire
    command: int
    payload: memoryview


@dataclass
class Part:
    """Bytes on their way out; where they lie in a ring, from sample ``first`` on."""

    data: memoryview
    ring: Samples | None = None
    first: int = 0
    frame: int = 1
    sent: int = 0

    def lost(self) -> bool:
        """Tell whether the writer has come round to what is left of it."""
        return self.ring is not None and self.first + self.sent // self.frame < self.ring.oldest


class Connection:
    """A client's socket with its buffers.

    Parameters
    ----------
    sock : socket
        Non-blocking.
    name : str
        Its address, for messages.
    now : float
    """

    def __init__(self, sock: socket.socket, name: str, now: float) -> None:
        self.sock, self.name = sock, name
        #: when a byte last came or went while something was unfinished
        self.moved = now
        #: hang up when all is sent
        self.last_words = False
        #: an answer is on its way that the client does not take
        self.sending = False
        self._in = memoryview(bytearray(START_BYTES))
        self._have = self._used = 0
        self._out: deque[Part] = deque()

    @property
    def queued(self) -> int:
        """How many parts are to go out."""
        return len(self._out)

    @property
    def unfinished(self) -> bool:
        """Whether half a request has come, or half an answer gone."""
        return self.sending or self._have > self._used

    @property
    def full(self) -> bool:
        """Whether no more can be taken before a request is dealt with."""
        return self._have == len(self._in)

    @property
    def late(self) -> bool:
        """Whether samples that are still to go have been written over."""
        return any(part.lost() for part in self._out)

    def receive(self, now: float) -> None:
        """Take what has come.

        Raises
        ------
        Gone
            The client hung up.
        """
        self._make_room()
        try:
            got = self.sock.recv_into(self._in[self._have :])
        except BlockingIOError:
            return
        except OSError as error:
            raise Gone(str(error)) from error
        if not got:
            raise Gone("hung up")
        self._have += got
        self.moved = now

    def _make_room(self) -> None:
        left = self._have - self._used
        if self._used:
            self._in[:left] = bytes(self._in[self._used : self._have])
            self._have, self._used = left, 0
        if self.full:
            # twice what has come, never what a head only promises
            larger = memoryview(bytearray(2 * len(self._in)))
            larger[: self._have] = self._in[: self._have]
            self._in = larger
        elif not left and len(self._in) > 16 * START_BYTES:
            self._in = memoryview(bytearray(START_BYTES))

    def next_request(self, limit: dict[int, int]) -> Request | None:
        """Return the next whole request, None where it has not all come.

        Raises
        ------
        Malformed
            Not the protocol, or larger than the ``limit`` of its command.
        """
        left = self._have - self._used
        if left < HEAD:
            return None
        head = self._in[self._used : self._used + HEAD]
        wire = wire_of(head)
        _, command, size = wire.message.unpack(head)
        if size > limit.get(command, 0):
            raise Malformed(
                where=f"request 0x{command:04x}",
                expected=f"at most {limit.get(command, 0)} bytes",
                got=f"{size}",
            )
        if left < HEAD + size:
            return None
        begin = self._used + HEAD
        self._used = begin + size
        return Request(wire, command, self._in[begin : self._used])

    def refusal(self) -> list[Part]:
        """Return ERR for a request that cannot even be taken; nothing where it is no request."""
        head = bytes(self._in[self._used : self._used + HEAD])
        try:
            wire = wire_of(head)
        except Malformed:
            return []
        command = wire.message.unpack(head)[1] & 0xFF00 | 0x05
        return [Part(memoryview(wire.ask(command)))]

    def queue(self, parts: list[Part]) -> None:
        """Add bytes to what is to go out."""
        self._out.extend(parts)

    def send(self, now: float) -> None:
        """Send what the client takes now.

        Raises
        ------
        Gone
            It hung up, or was so slow that the samples it asked for have been written over.
        """
        while self._out:
            if self.late:
                raise Gone("it did not take an answer in time")
            parts = [p.data[p.sent :] for p in list(self._out)[:MAX_PARTS]]
            try:
                sent = self.sock.sendmsg(parts)
            except BlockingIOError:
                self.sending = True
                return
            except OSError as error:
                raise Gone(str(error)) from error
            self.moved = now
            while self._out and sent >= len(self._out[0].data) - self._out[0].sent:
                sent -= len(self._out[0].data) - self._out[0].sent
                self._out.popleft()
            if self._out:
                self._out[0].sent += sent
        self.sending = False
        if self.last_words:
            raise Gone("refused")
