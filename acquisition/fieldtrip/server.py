"""A FieldTrip buffer server: ``python -m brainforge.acquisition.fieldtrip.server --port 1972``.

One thread serves all clients without ever waiting for one of them. The client that puts the header
is the writer until it hangs up; a second writer is refused with ERR, and so is whoever wants to
flush what another one is writing. Anybody may put events.
"""

from __future__ import annotations

import argparse
import contextlib
import selectors
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from brainforge.acquisition.fieldtrip.answers import Desk
from brainforge.acquisition.fieldtrip.codec import MAX_HEADER_BYTES, PORT, Command, Malformed
from brainforge.acquisition.fieldtrip.connection import MAX_PARTS, Connection, Gone
from brainforge.acquisition.fieldtrip.store import Store
from brainforge.errors import OutputError

MAX_PUT: Final = 64 << 20
#: largest request of each command; what is not here has no payload
LIMITS: Final[dict[int, int]] = {
    Command.PUT_HDR: MAX_HEADER_BYTES,
    Command.PUT_HDR_QUIET: MAX_HEADER_BYTES,
    Command.PUT_DAT: MAX_PUT,
    Command.PUT_DAT_QUIET: MAX_PUT,
    Command.PUT_EVT: 1 << 20,
    Command.PUT_EVT_QUIET: 1 << 20,
    Command.GET_DAT: 8,
    Command.GET_EVT: 8,
    Command.WAIT_DAT: 12,
}
#: seconds after which a client that has stopped in the middle of a message is cut off
STALLED: Final = 30.0
MAX_CLIENTS: Final = 128


class Server:
    """Serves one buffer.

    Parameters
    ----------
    host, port : str, int
        Where to listen; port 0 takes a free one, told by ``address``.
    seconds : float
        Length of the ring.
    max_bytes : int
        Bound on the ring's memory.
    first_sample : int
        See `Store`.
    tell : callable
        Takes one line on whatever was refused.

    Raises
    ------
    OutputError
        The address is taken.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = PORT,
        *,
        seconds: float = 60.0,
        max_bytes: int = 1 << 30,
        first_sample: int = 0,
        tell: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._desk = Desk(Store(seconds, max_bytes, first_sample), tell)
        self._tell = tell
        self._clients: set[Connection] = set()
        try:
            self._listener = socket.create_server((host, port), backlog=64)
        except OSError as error:
            raise OutputError(f"{host}:{port}: cannot listen there: {error.strerror}") from error
        self._listener.setblocking(False)
        self._bell, self._ringer = socket.socketpair()
        self._bell.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._bell, selectors.EVENT_READ)
        self._thread: threading.Thread | None = None
        self._stopping = False

    @property
    def address(self) -> tuple[str, int]:
        """Host and port it listens on."""
        host, port = self._listener.getsockname()[:2]
        return str(host), int(port)

    def __enter__(self) -> Self:
        """Serve in a thread of its own."""
        self._thread = threading.Thread(target=self.serve, name="fieldtrip-server")
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        if self._thread is not None:
            self._thread.join()

    def stop(self) -> None:
        """Let `serve` return; from any thread or a signal handler."""
        self._stopping = True
        with contextlib.suppress(OSError):
            self._ringer.send(b"\0")

    def serve(self) -> None:
        """Serve until `stop`, then close everything."""
        try:
            while not self._stopping:
                for key, mask in self._selector.select(self._patience()):
                    if key.fileobj is self._listener:
                        self._accept()
                    elif key.data is not None and key.data in self._clients:
                        self._attend(key.data, mask)
                self._look_after()
        finally:
            for client in list(self._clients):
                self._drop(client, "")
            for sock in (self._listener, self._bell, self._ringer):
                sock.close()
            self._selector.close()

    # clients

    def _patience(self) -> float:
        if not self._desk.waiting:
            return 1.0
        due = min(wait.until for wait in self._desk.waiting.values())
        return min(max(due - time.monotonic(), 0.0), 1.0)

    def _accept(self) -> None:
        try:
            sock, where = self._listener.accept()
        except OSError as error:
            self._tell(f"a connection came to nothing: {error}")
            return
        name = f"{where[0]}:{where[1]}"
        if len(self._clients) >= MAX_CLIENTS:
            self._tell(f"{name}: refused, {MAX_CLIENTS} clients are connected")
            sock.close()
            return
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        # a writer whose machine is gone must not keep others from writing for hours
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 5)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 2)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
        client = Connection(sock, name, time.monotonic())
        self._clients.add(client)
        self._selector.register(sock, selectors.EVENT_READ, client)

    def _drop(self, client: Connection, why: str) -> None:
        if why not in ("", "hung up"):
            self._tell(f"{client.name}: closed, {why}")
        self._clients.discard(client)
        self._desk.forget(client)
        self._selector.unregister(client.sock)
        client.sock.close()

    def _attend(self, client: Connection, mask: int) -> None:
        try:
            now = time.monotonic()
            if mask & selectors.EVENT_READ:
                client.receive(now)
            if mask & selectors.EVENT_WRITE:
                client.send(now)
            self._advance(client)
        except Gone as gone:
            self._drop(client, str(gone))

    def _advance(self, client: Connection) -> None:
        """Deal with the requests that have come, and send their answers together."""
        while not client.sending:
            while client.queued < MAX_PARTS and self._deal(client):
                pass
            if not client.queued and not client.last_words:
                break
            client.send(time.monotonic())
        busy = client.sending or client in self._desk.waiting
        mask = selectors.EVENT_WRITE if client.sending else 0
        # who asks faster than it listens is not heard until it does
        mask |= 0 if busy and client.full else selectors.EVENT_READ
        if self._selector.get_key(client.sock).events != mask:
            self._selector.modify(client.sock, mask, client)

    def _deal(self, client: Connection) -> bool:
        """Deal with one request; tell whether there was one."""
        if client in self._desk.waiting or client.last_words:
            return False
        try:
            request = client.next_request(LIMITS)
            if request is None:
                return False
            answer = self._desk.deal(client, request)
        except Malformed as error:
            self._tell(f"{client.name}: {error}")
            client.last_words = True
            answer = client.refusal()
        client.queue(answer)
        return True

    def _look_after(self) -> None:
        """Answer those whose wait is over, and cut off those who have stopped in the middle."""
        now = time.monotonic()
        for client, answer in self._desk.over(now):
            try:
                client.queue(answer)
                self._advance(client)
            except Gone as gone:
                self._drop(client, str(gone))
        for client in list(self._clients):
            if client.late:
                self._drop(client, "it did not take an answer in time")
                continue
            stuck = client.unfinished and client not in self._desk.waiting
            if stuck and now - client.moved > STALLED:
                self._drop(client, f"stood still for {STALLED:.0f} s in the middle of a message")


def main(arguments: list[str] | None = None) -> int:
    """Run a server until it is interrupted; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m brainforge.acquisition.fieldtrip.server",
        description="Serve a FieldTrip buffer (protocol version 1).",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=PORT, help="0 takes a free one")
    parser.add_argument("--seconds", type=float, default=60.0, help="length of the ring")
    parser.add_argument("--max-mib", type=int, default=1024, help="bound on the ring's memory")
    parser.add_argument("--first-sample", type=int, default=0, help="where numbers begin")
    options = parser.parse_args(arguments)
    try:
        server = Server(
            options.host, options.port, seconds=options.seconds,
            max_bytes=options.max_mib << 20, first_sample=options.first_sample,
            tell=lambda line: print(line, file=sys.stderr, flush=True),
        )  # fmt: skip
    except OutputError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: server.stop())
    print("listening on {}:{}".format(*server.address), flush=True)
    server.serve()
    return 0


if __name__ == "__main__":
    sys.exit(main())
