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

import numpy as np

from brainforge.acquisition.fieldtrip.codec import (
    BIG,
    DTYPES,
    MAX_HEADER_BYTES,
    PORT,
    VERSION,
    WRAP,
    Command,
    Malformed,
    decode_data_head,
    decode_header,
    encode_data_head,
    encode_header,
)
from brainforge.acquisition.fieldtrip.connection import Connection, Gone, Part, Request
from brainforge.acquisition.fieldtrip.events import decode_events, encode_events
from brainforge.acquisition.fieldtrip.store import NotThere, Store
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
Answer = list[Part]


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
        self._store = Store(seconds, max_bytes, first_sample)
        self._tell = tell
        self._writer: Connection | None = None
        self._clients: set[Connection] = set()
        #: who waits: thresholds, and until when
        self._waiting: dict[Connection, tuple[Request, int, int, float]] = {}
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
        if not self._waiting:
            return 1.0
        due = min(until for *_, until in self._waiting.values())
        return min(max(due - time.monotonic(), 0.0), 1.0)

    def _accept(self) -> None:
        try:
            sock, where = self._listener.accept()
        except OSError as error:
            self._tell(f"a connection came to nothing: {error}")
            return
        name = f"{where[0]}:{where[1]}"
        if len(self._clients) >= MAX_CLIENTS:
            sock.close()
            self._tell(f"{name}: refused, {MAX_CLIENTS} clients are connected")
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
        self._waiting.pop(client, None)
        if self._writer is client:
            self._writer = None
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
        """Deal with the requests that have come, one after another, and send the answers."""
        while not client.sending and client not in self._waiting and not client.last_words:
            try:
                request = client.next_request(LIMITS)
                if request is None:
                    break
                answer = self._deal(client, request)
            except Malformed as error:
                self._tell(f"{client.name}: {error}")
                client.last_words = True
                answer = client.refusal()
            for part in answer:
                client.queue(part)
            client.send(time.monotonic())
        busy = client.sending or client in self._waiting
        mask = selectors.EVENT_WRITE if client.sending else 0
        # who asks faster than it listens is not heard until it does
        mask |= 0 if busy and client.full else selectors.EVENT_READ
        if self._selector.get_key(client.sock).events != mask:
            self._selector.modify(client.sock, mask, client)

    def _look_after(self) -> None:
        """Answer those whose wait is over, and cut off those who have stopped in the middle."""
        now = time.monotonic()
        for client, (request, samples, events, until) in list(self._waiting.items()):
            if self._store.passed(samples, events) or now >= until or self._store.header is None:
                del self._waiting[client]
                try:
                    for part in self._counts(request):
                        client.queue(part)
                    client.send(now)
                    self._advance(client)
                except Gone as gone:
                    self._drop(client, str(gone))
        for client in list(self._clients):
            stuck = client.unfinished and client not in self._waiting
            if stuck and now - client.moved > STALLED:
                self._drop(client, f"stood still for {STALLED:.0f} s in the middle of a message")

    # requests

    def _deal(self, client: Connection, request: Request) -> Answer:
        """Return the answer to a request; a refusal is told and answered with ERR."""
        try:
            command = Command(request.command)
            deal = _DEALS[command]
        except (ValueError, KeyError) as error:
            raise Malformed(
                where="request",
                expected="a command of the protocol",
                got=f"0x{request.command:04x}",
            ) from error
        family = command & 0xFF00
        quiet = family == 0x0500
        try:
            answer = deal(self, client, request)
        except (NotThere, Malformed) as error:
            if family not in (0x0200, 0x0400):
                self._tell(f"{client.name}: refused {command.name}: {error}")
            answer = [_message(request, family | 0x05)]
        return [] if quiet else answer

    def _claim(self, client: Connection) -> None:
        if self._writer not in (None, client):
            assert self._writer is not None
            raise NotThere(f"{self._writer.name} is writing")

    def _put_header(self, client: Connection, request: Request) -> Answer:
        self._claim(client)
        self._store.put_header(decode_header(request.wire, request.payload))
        self._writer = client
        return [_message(request, Command.PUT_OK)]

    def _put_data(self, client: Connection, request: Request) -> Answer:
        self._claim(client)
        wire, payload = request.wire, request.payload
        shape = decode_data_head(wire, payload, len(payload))
        data = payload[wire.data.size :]
        if wire is BIG and len(data):
            swapped = np.frombuffer(data, dtype=DTYPES[shape[2]]).byteswap()
            data = memoryview(swapped).cast("B")
        self._store.put_data(shape, data)
        self._writer = client
        return [_message(request, Command.PUT_OK)]

    def _put_events(self, client: Connection, request: Request) -> Answer:
        self._store.put_events(decode_events(request.wire, request.payload))
        return [_message(request, Command.PUT_OK)]

    def _get_header(self, client: Connection, request: Request) -> Answer:
        payload = encode_header(request.wire, self._store.get_header())
        return [_message(request, Command.GET_OK, payload)]

    def _get_data(self, client: Connection, request: Request) -> Answer:
        wire, store = request.wire, self._store
        if len(request.payload) == wire.pair.size:
            views = store.select(*wire.pair.unpack(request.payload))
        elif not request.payload:
            views = store.everything()
        else:
            raise Malformed(
                where="GET_DAT", expected="two numbers", got=f"{len(request.payload)} bytes"
            )
        header = store.get_header()
        frame = header.frame_bytes
        n = sum(len(view) for _, view in views) // frame
        head = encode_data_head(wire, header.n_channels, n, header.data_type)
        start = _message(request, Command.GET_OK, head, extra=n * frame)
        if wire is BIG:
            whole = np.frombuffer(b"".join(view for _, view in views), dtype=header.dtype)
            return [start, Part(memoryview(whole.byteswap()).cast("B"))]
        return [start, *(Part(view, store.samples, first, frame) for first, view in views)]

    def _get_events(self, client: Connection, request: Request) -> Answer:
        wire, payload = request.wire, request.payload
        if len(payload) not in (0, wire.pair.size):
            raise Malformed(where="GET_EVT", expected="two numbers", got=f"{len(payload)} bytes")
        which = wire.pair.unpack(payload) if payload else ()
        events = encode_events(wire, self._store.get_events(*which))
        return [_message(request, Command.GET_OK, events)]

    def _flush(self, client: Connection, request: Request) -> Answer:
        self._claim(client)
        {
            Command.FLUSH_HDR: self._store.flush,
            Command.FLUSH_DAT: self._store.flush_samples,
            Command.FLUSH_EVT: self._store.flush_events,
        }[Command(request.command)]()
        return [_message(request, Command.FLUSH_OK)]

    def _wait(self, client: Connection, request: Request) -> Answer:
        wire, payload = request.wire, request.payload
        if len(payload) != wire.wait.size:
            raise Malformed(where="WAIT_DAT", expected="12 bytes", got=f"{len(payload)}")
        samples, events, milliseconds = wire.wait.unpack(payload)
        if self._store.header is None or self._store.passed(samples, events) or not milliseconds:
            return self._counts(request)
        until = time.monotonic() + milliseconds / 1000.0
        kept = Request(wire, request.command, memoryview(b""))
        self._waiting[client] = kept, samples, events, until
        return []

    def _counts(self, request: Request) -> Answer:
        store = self._store
        if store.header is None:
            return [_message(request, Command.WAIT_ERR)]
        counts = request.wire.pair.pack(store.n_samples % WRAP, store.n_events % WRAP)
        return [_message(request, Command.WAIT_OK, counts)]


def _message(request: Request, command: int, payload: bytes = b"", *, extra: int = 0) -> Part:
    head = request.wire.message.pack(VERSION, command, len(payload) + extra)
    return Part(memoryview(head + payload))


_DEALS: Final[dict[Command, Callable[[Server, Connection, Request], Answer]]] = {
    Command.PUT_HDR: Server._put_header,
    Command.PUT_HDR_QUIET: Server._put_header,
    Command.PUT_DAT: Server._put_data,
    Command.PUT_DAT_QUIET: Server._put_data,
    Command.PUT_EVT: Server._put_events,
    Command.PUT_EVT_QUIET: Server._put_events,
    Command.GET_HDR: Server._get_header,
    Command.GET_DAT: Server._get_data,
    Command.GET_EVT: Server._get_events,
    Command.FLUSH_HDR: Server._flush,
    Command.FLUSH_DAT: Server._flush,
    Command.FLUSH_EVT: Server._flush,
    Command.WAIT_DAT: Server._wait,
}


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
