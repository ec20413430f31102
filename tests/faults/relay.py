"""A relay between a receiver and a sender that can be cut and mended, by TCP or UNIX socket."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Self

from brainforge.acquisition.bridge_server import listen


def _connect(address: str) -> socket.socket:
    scheme, _, rest = address.partition(":")
    if scheme == "unix":
        one = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        one.connect(rest)
        return one
    host, port = rest.rsplit(":", 1)
    return socket.create_connection((host, int(port)))


class Relay:
    """Passes bytes both ways between whoever connects to ``address`` and ``target``.

    Attributes
    ----------
    address : str
        Stays the same when it is mended.
    target : str
        May be changed while it is cut.
    """

    def __init__(self, address: str, target: str) -> None:
        self.address, self.target = address, target
        self._listener: socket.socket | None = None
        self._ends: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self.mend()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()

    def mend(self) -> None:
        """Accept connections again."""
        self._listener, self.address = listen(self.address)
        self._listener.setblocking(True)
        self._start(self._accept, self._listener)

    def cut(self) -> None:
        """Break all connections, and accept none; returns when that is done."""
        with self._lock:
            ends, self._ends = self._ends, []
            listener, self._listener = self._listener, None
        for one in [*ends, *([listener] if listener else [])]:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._threads.clear()
        for one in [*ends, *([listener] if listener else [])]:
            one.close()

    def _start(self, work: object, *arguments: socket.socket) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = listener.accept()
                with self._lock:
                    if self._listener is not listener:
                        near.close()  # it came while we were being cut
                        return
                    far = _connect(self.target)
                    self._ends += [near, far]
                    self._start(self._pass_on, near, far)
                    self._start(self._pass_on, far, near)

    def _pass_on(self, one: socket.socket, other: socket.socket) -> None:
        try:
            while data := one.recv(1 << 17):
                other.sendall(data)
        except OSError:
            return  # cut
        finally:
            with contextlib.suppress(OSError):
                other.shutdown(socket.SHUT_RDWR)
