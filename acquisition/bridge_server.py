"""BridgeServer: hands the frames of a SendBuffer to whoever connects, on a thread of its own."""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import stat
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from brainforge.acquisition import framed
from brainforge.acquisition.bridge_buffer import Entry, SendBuffer
from brainforge.acquisition.framed import FrameError, FrameReader, Kind
from brainforge.errors import InputError, OutputError

#: the oldest goes when more want to connect
MAX_RECEIVERS: Final = 8


def listen(address: str) -> tuple[socket.socket, str]:
    """Return a listening socket for ``tcp:HOST:PORT`` or ``unix:PATH``, and its address.

    Port 0 takes any that is free. The socket file that a dead process left is replaced.

    Raises
    ------
    InputError
        It is no such address.
    OutputError
        It is in use or not ours.
    """
    scheme, _, rest = address.partition(":")
    host, _, port = rest.rpartition(":")
    unix = scheme == "unix" and bool(rest)
    if not unix and not (scheme == "tcp" and host and port.isascii() and port.isdigit()):
        raise InputError(where="address", expected="tcp:HOST:PORT or unix:PATH", got=repr(address))
    try:
        if unix:
            _remove_stale(rest)
            one = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        else:
            bare = host.removeprefix("[").removesuffix("]")
            family, _, _, _, target = socket.getaddrinfo(bare, int(port))[0]
            one = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise OutputError(f"{address}: cannot be listened on: {error.strerror}") from error
    try:
        if not unix:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind(rest if unix else target)
        one.listen(MAX_RECEIVERS)
        one.setblocking(False)
    except OSError as error:
        one.close()
        raise OutputError(f"{address}: cannot be listened on: {error.strerror}") from error
    return one, address if unix else f"tcp:{host}:{one.getsockname()[1]}"


def _remove_stale(path: str) -> None:
    """Remove a socket file that nobody listens on; anything else is left and bind refuses."""
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            try:
                probe.connect(path)
            except ConnectionRefusedError:
                os.unlink(path)


class _Receiver:
    """One connected receiver: what it asked for and how far it has got."""

    def __init__(self, connection: socket.socket, hello: bytes) -> None:
        self.socket, self.reader = connection, FrameReader()
        self.next: int | None = None  # frame to send; None until it has said where to begin
        self.replies: deque[bytes] = deque([hello])
        self.left = memoryview(b"")
        self.blocked = self.content = False


class BridgeServer:
    """Serves one stream until it is stopped.

    Parameters
    ----------
    address : str
    hello : bytes
        The HELLO frame.
    buffer : SendBuffer
    clock : callable
        The clock of the stamps, in seconds.
    linger_s : float
        Seconds without any progress after which `stop` waits no longer.

    Attributes
    ----------
    address : str
        With the port that was taken.
    failure : BaseException | None
        What ended the thread, where it was not `stop`.
    """

    def __init__(
        self,
        address: str,
        hello: bytes,
        buffer: SendBuffer,
        clock: Callable[[], float],
        linger_s: float,
    ) -> None:
        self._linger_s, self._moved = linger_s, 0.0
        self._listener, self.address = listen(address)
        self._hello, self._buffer, self._clock = hello, buffer, clock
        self.failure: BaseException | None = None
        self._alarm = socket.socketpair()
        self._rung = False
        self._stopping = self._owed = False
        self._selector = selectors.DefaultSelector()
        self._receivers: list[_Receiver] = []
        for one in (self._listener, self._alarm[0]):
            one.setblocking(False)
            self._selector.register(one, selectors.EVENT_READ)
        self._alarm[1].setblocking(False)
        self._thread = threading.Thread(target=self._run, name="bridge", daemon=True)
        self._thread.start()

    @property
    def n_receivers(self) -> int:
        """How many are being sent samples."""
        return sum(one.next is not None for one in self._receivers)

    def ring(self) -> None:
        """Say that the buffer has a new frame; never waits."""
        if not self._rung:
            self._rung = True
            # full means rung already, closed that nobody is there to be told
            with contextlib.suppress(OSError):
                self._alarm[1].send(b"!")

    def stop(self, bye: bytes) -> None:
        """Send a last frame after all the others; wait until the receivers have answered it.

        One that was cut off just now may come back for what it has missed.
        """
        if not self._stopping:
            self._buffer.append(Entry(bye, 0, 0))
            self._moved = time.monotonic()
            self._stopping, self._rung = True, False
            self.ring()
        self._thread.join()

    def _run(self) -> None:
        try:
            while not self._stopping or self._lingers():
                for key, events in self._selector.select(0.1 if self._stopping else None):
                    self._serve(key, events)
                for one in list(self._receivers):
                    if not one.blocked:
                        self._send(one)
        except BaseException as error:
            self.failure = error
        finally:
            self._close()

    def _lingers(self) -> bool:
        waits = bool(self._receivers) or self._owed
        return waits and time.monotonic() - self._moved < self._linger_s

    def _serve(self, key: selectors.SelectorKey, events: int) -> None:
        if key.fileobj is self._alarm[0]:
            self._alarm[0].recv(64)
            self._rung = False
        elif key.fileobj is self._listener:
            self._accept()
        else:
            one: _Receiver = key.data
            if events & selectors.EVENT_WRITE:
                self._selector.modify(one.socket, selectors.EVENT_READ, one)
                one.blocked = False
            if events & selectors.EVENT_READ:
                self._listen_to(one)

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return  # it has gone again
        connection.setblocking(False)
        if connection.family != socket.AF_UNIX:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if len(self._receivers) >= MAX_RECEIVERS:
            self._drop(self._receivers[0])
        one = _Receiver(connection, self._hello)
        self._receivers.append(one)
        self._selector.register(connection, selectors.EVENT_READ, one)

    def _listen_to(self, one: _Receiver) -> None:
        try:
            n = one.socket.recv_into(one.reader.space())
            one.reader.took(n)
            for frame in one.reader.frames():
                if frame.kind == Kind.PING:
                    one.replies.append(framed.encode_pong(frame.payload, self._clock()))
                elif frame.kind == Kind.RESUME:
                    self._resume(one, framed.read_resume(frame.payload))
                elif frame.kind == Kind.BYE:
                    one.content, n = True, 0  # it has read ours, or wants no more
        except BlockingIOError:
            return
        except (OSError, FrameError, InputError):
            n = 0  # gone, or no receiver of this protocol
        if n == 0:
            self._drop(one)

    def _resume(self, one: _Receiver, counter: int) -> None:
        self._owed = False
        if counter == framed.FROM_NOW:
            number, rest = self._buffer.end, b""
        elif counter == framed.ALL_KEPT:
            number, rest = 0, b""
        else:
            number, rest = self._buffer.since(counter)
        # everybody is to hear the end
        one.next = number - 1 if self._stopping and number == self._buffer.end else number
        if rest:
            one.replies.append(rest)

    def _send(self, one: _Receiver) -> None:
        """Send until nothing is left or the receiver takes no more."""
        try:
            while one.left or self._load(one):
                one.left = one.left[one.socket.send(one.left) :]
                self._moved = time.monotonic()
        except BlockingIOError:
            one.blocked = True
            both = selectors.EVENT_READ | selectors.EVENT_WRITE
            self._selector.modify(one.socket, both, one)
        except OSError:
            self._drop(one)

    def _load(self, one: _Receiver) -> bool:
        """Take the next frame for a receiver; return whether there is one."""
        if one.replies:
            one.left = memoryview(one.replies.popleft())
            return True
        if one.next is None:
            return False
        found = self._buffer.take(one.next)
        if found is None:
            return False
        one.next, one.left = found[0] + 1, memoryview(found[1])
        return True

    def _drop(self, one: _Receiver) -> None:
        if one in self._receivers:
            self._receivers.remove(one)
            self._owed |= one.next is not None and not one.content
            self._selector.unregister(one.socket)
            one.socket.close()

    def _close(self) -> None:
        for one in list(self._receivers):
            self._drop(one)
        self._selector.close()
        name = self._listener.getsockname()
        for end in (self._listener, *self._alarm):
            end.close()
        if isinstance(name, str):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name)
