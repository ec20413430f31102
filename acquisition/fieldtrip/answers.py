"""What the server answers: one function for each request, on the store and who may change it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from brainforge.acquisition.fieldtrip.codec import (
    BIG,
    DTYPES,
    VERSION,
    WRAP,
    Command,
    Malformed,
    decode_data_head,
    decode_header,
    encode_data_head,
    encode_header,
)
from brainforge.acquisition.fieldtrip.connection import Connection, Part, Request
from brainforge.acquisition.fieldtrip.events import decode_events, encode_events
from brainforge.acquisition.fieldtrip.store import NotThere, Store

Answer = list[Part]


@dataclass(frozen=True)
class Wait:
    """A WAIT_DAT that is to be answered later: its thresholds, and when at the latest."""

    request: Request
    samples: int
    events: int
    until: float


class Desk:
    """Deals with requests.

    Parameters
    ----------
    store : Store
    tell : callable
        Takes one line on whatever was refused.
    """

    def __init__(self, store: Store, tell: Callable[[str], None]) -> None:
        self._store, self._tell = store, tell
        self._writer: Connection | None = None
        #: who waits for samples or events
        self.waiting: dict[Connection, Wait] = {}

    def forget(self, client: Connection) -> None:
        """Take note that a client is gone; a writer makes room for the next one."""
        self.waiting.pop(client, None)
        if self._writer is client:
            self._writer = None

    def over(self, now: float) -> list[tuple[Connection, Answer]]:
        """Return the answers to those whose wait is over."""
        done = [c for c, wait in self.waiting.items() if self._is_over(wait, now)]
        return [(client, self._counts(self.waiting.pop(client).request)) for client in done]

    def _is_over(self, wait: Wait, now: float) -> bool:
        store = self._store
        return now >= wait.until or store.header is None or store.passed(wait.samples, wait.events)

    def deal(self, client: Connection, request: Request) -> Answer:
        """Return the answer to a request; a refusal is told and answered with ERR."""
        family = request.command & 0xFF00
        deal = _DEALS.get(request.command)
        if deal is None:
            self._tell(f"{client.name}: there is no request 0x{request.command:04x}")
            return [_message(request, family | 0x05)]
        quiet = family == 0x0500
        try:
            answer = deal(self, client, request)
        except (NotThere, Malformed) as error:
            if family not in (0x0200, 0x0400):
                self._tell(f"{client.name}: refused {Command(request.command).name}: {error}")
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
            data = swapped.data.cast("B")
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
            raise Malformed(where="GET_DAT", expected="0 or 8 bytes", got=f"{len(request.payload)}")
        header = store.get_header()
        frame = header.frame_bytes
        n = sum(len(view) for _, view in views) // frame
        head = encode_data_head(wire, header.n_channels, n, header.data_type)
        start = _message(request, Command.GET_OK, head, extra=n * frame)
        if wire is BIG:
            whole = np.frombuffer(b"".join(view for _, view in views), dtype=header.dtype)
            return [start, Part(whole.byteswap().data.cast("B"))]
        return [start, *(Part(view, store.samples, first, frame) for first, view in views)]

    def _get_events(self, client: Connection, request: Request) -> Answer:
        wire, payload = request.wire, request.payload
        if len(payload) not in (0, wire.pair.size):
            raise Malformed(where="GET_EVT", expected="0 or 8 bytes", got=f"{len(payload)}")
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
        self.waiting[client] = Wait(kept, samples, events, until)
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


_DEALS: Final[dict[int, Callable[[Desk, Connection, Request], Answer]]] = {
    Command.PUT_HDR: Desk._put_header,
    Command.PUT_HDR_QUIET: Desk._put_header,
    Command.PUT_DAT: Desk._put_data,
    Command.PUT_DAT_QUIET: Desk._put_data,
    Command.PUT_EVT: Desk._put_events,
    Command.PUT_EVT_QUIET: Desk._put_events,
    Command.GET_HDR: Desk._get_header,
    Command.GET_DAT: Desk._get_data,
    Command.GET_EVT: Desk._get_events,
    Command.FLUSH_HDR: Desk._flush,
    Command.FLUSH_DAT: Desk._flush,
    Command.FLUSH_EVT: Desk._flush,
    Command.WAIT_DAT: Desk._wait,
}
