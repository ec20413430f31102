"""Link: the receiving end of one connection of the framed protocol: socket, poll and alarm."""

from __future__ import annotations

import contextlib
import select
import socket
import time
from collections.abc import Callable
from typing import Any

from brainforge.acquisition.driver import ConnectionLost
from brainforge.acquisition.framed import Frame, FrameReader

#: socket family and address
Target = tuple[Any, Any]


class Link:
    """One connection at a time. Used by one thread, save `wake`.

    A frame that comes in one piece costs two system calls.

    Parameters
    ----------
    name : str
        For messages.
    target : callable
        Returns where to connect to; asked at every attempt.
    monotonic : callable

    Attributes
    ----------
    reader : FrameReader
        Of this connection.
    heard : float
        When bytes came last.
    lost : ConnectionLost | None
        Set once the connection is gone; frames that came before are still handed out.
    """

    def __init__(
        self,
        name: str,
        target: Callable[[], Target],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name, self._target, self._now = name, target, monotonic
        self.reader = FrameReader()
        self.heard = 0.0
        self.lost: ConnectionLost | None = None
        self._socket: socket.socket | None = None
        self._alarm: tuple[socket.socket, socket.socket] | None = None
        self._poll = select.poll()

    def connect(self, seconds: float) -> None:
        """Connect; raises ConnectionLost where that takes longer or nobody answers."""
        self.close()
        self.reader, self._poll = FrameReader(), select.poll()
        self._alarm = socket.socketpair()
        for end in self._alarm:
            end.setblocking(False)
        self._poll.register(self._alarm[0], select.POLLIN)
        try:
            family, address = self._target()
            self._socket = one = socket.socket(family, socket.SOCK_STREAM)
            one.setblocking(False)
            if family != socket.AF_UNIX:
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with contextlib.suppress(BlockingIOError):
                one.connect(address)
            self._poll.register(one, select.POLLOUT)
            if not self.wait(seconds):
                raise ConnectionLost(f"{self.name}: no connection within {seconds:g} s")
            error = one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if error:
                raise OSError(error, "connection refused")
            self._poll.modify(one, select.POLLIN)
        except ConnectionError as error:
            raise self._gone(str(error)) from error
        except OSError as error:
            raise self._gone(f"{self.name}: nobody answers ({error.strerror})") from error
        self.heard = self._now()

    def wait(self, seconds: float) -> bool | None:
        """Return whether the socket has something; None when woken."""
        ready = self._poll.poll(max(seconds, 0.0) * 1e3)
        if not ready:
            return False
        assert self._alarm is not None, "a link that is not connected"
        if any(file == self._alarm[0].fileno() for file, _ in ready):
            self._alarm[0].recv(64)
            return None
        return True

    def read(self) -> list[Frame]:
        """Return the frames that what has come completes."""
        assert self._socket is not None, "a link that is not connected"
        frames: list[Frame] = []
        while True:
            space = self.reader.space()
            try:
                n = self._socket.recv_into(space)
            except BlockingIOError:
                return frames
            except OSError as error:
                self._gone(f"{self.name}: the connection broke ({error.strerror})")
                return frames + self.reader.finish()
            if n == 0:
                self._gone(f"{self.name}: the sender closed the connection")
                return frames + self.reader.finish()
            self.heard = self._now()
            self.reader.took(n)
            frames += self.reader.frames()
            if n < len(space):
                return frames

    def send(self, frame: bytes) -> None:
        """Send a few bytes. A sender with no room for them reads nothing at all: it is lost."""
        assert self._socket is not None, "a link that is not connected"
        try:
            sent = self._socket.send(frame)
        except OSError as error:
            self._gone(f"{self.name}: nothing can be sent ({error.strerror})")
            return
        if sent < len(frame):
            self._gone(f"{self.name}: the sender does not read")

    def close(self) -> None:
        """Let go of the connection."""
        sockets = [self._socket, *(self._alarm or ())]
        self._socket = self._alarm = self.lost = None
        for one in sockets:
            if one is not None:
                one.close()

    def wake(self) -> None:
        """Let a waiting `wait` return at once; from any thread."""
        alarm = self._alarm
        if alarm is not None:
            # closed just now, or rung often enough already
            with contextlib.suppress(OSError):
                alarm[1].send(b"!")

    def _gone(self, why: str) -> ConnectionLost:
        self.lost = ConnectionLost(why)
        return self.lost
