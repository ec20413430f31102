"""A small blocking client of the FieldTrip buffer: one connection, one request at a time."""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from brainforge.acquisition.fieldtrip.codec import (
    LITTLE,
    MAX_HEADER_BYTES,
    VERSION,
    WRAP,
    Command,
    Header,
    Malformed,
    Wire,
    data_type_of,
    decode_data_head,
    decode_header,
    encode_data_head,
    encode_header,
    name_chunk,
    wire_of,
)
from brainforge.acquisition.fieldtrip.events import Event, decode_events, encode_events

#: largest answer to GET_HDR and GET_EVT that is taken
MAX_ANSWER: Final = MAX_HEADER_BYTES + (1 << 10)
Array = npt.NDArray[Any]


class Refused(Exception):
    """The server said ERR: nothing there, out of range, or not allowed."""


class Client:
    """Speaks to a server. Nagle is off; answers of known size are received in one go.

    Use it from one thread, inside ``with``. After any error but `Refused` the connection is of
    no further use.

    Parameters
    ----------
    host, port : str, int
    timeout : float
        Seconds to wait for a connection or for a byte of an answer.
    wire : Wire
        Byte order of the requests; the answers come in the same.

    Raises
    ------
    OSError
        Nobody listens there, or the connection broke.
    """

    def __init__(self, host: str, port: int, *, timeout: float = 5.0, wire: Wire = LITTLE) -> None:
        self._wire = wire
        self._head = bytearray(wire.message.size + wire.data.size)
        self._socket = socket.create_connection((host, port), timeout)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # the kernel's own time-outs: Python's cost a system call more for each that is made
        self._socket.settimeout(None)
        limit = struct.pack("@ll", int(timeout), int(timeout % 1 * 1e6))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def fileno(self) -> int:
        """Return the socket's descriptor, to wait for an answer together with other things."""
        return self._socket.fileno()

    # writing

    def put_header(
        self,
        n_channels: int,
        sfreq: float,
        dtype: npt.DTypeLike,
        names: Sequence[str] = (),
        chunks: Sequence[tuple[int, bytes]] = (),
    ) -> None:
        """Begin a stream anew: all samples and events that were there go.

        Raises
        ------
        Refused
            Somebody else is writing, or the server has no room.
        """
        all_chunks = ((name_chunk(tuple(names)),) if names else ()) + tuple(chunks)
        header = Header(n_channels, sfreq, data_type_of(dtype), chunks=all_chunks)
        self._do(Command.PUT_HDR, encode_header(self._wire, header))

    def put_data(self, data: Array) -> None:
        """Append samples, axes (sample, channel), of the header's dtype.

        Raises
        ------
        Refused
            They do not fit the header, or somebody else is writing.
        """
        order = self._wire.order
        array = np.ascontiguousarray(data, dtype=data.dtype.newbyteorder(order))
        n_samples, n_channels = array.shape
        head = encode_data_head(self._wire, n_channels, n_samples, data_type_of(data.dtype))
        size = len(head) + array.nbytes
        start = self._wire.message.pack(VERSION, Command.PUT_DAT, size) + head
        self._socket.sendall(start, socket.MSG_MORE)
        self._socket.sendall(array.data.cast("B"))
        self._answer()

    def put_events(self, events: list[Event]) -> None:
        """Append events."""
        self._do(Command.PUT_EVT, encode_events(self._wire, events))

    def flush(self, what: Command) -> None:
        """Remove the header and all else (FLUSH_HDR), the samples or the events."""
        self._do(what)

    # reading

    def get_header(self) -> Header:
        """Return the header with the number of samples and events written so far.

        Raises
        ------
        Refused
            Nobody has put one.
        """
        return decode_header(self._wire, self._do(Command.GET_HDR))

    def get_data(self, header: Header, first: int, last: int) -> Array:
        """Return samples first to last, both included; a fresh array, axes (sample, channel).

        Numbers count from 0 as the server does; they may be given beyond 2**32.

        Raises
        ------
        Refused
            Some of them are not there, not yet or no more.
        """
        self._socket.sendall(self._range(first, last))
        return self.hear_data(header, last - first + 1)

    def _range(self, first: int, last: int) -> bytes:
        pair = self._wire.pair.pack(first % WRAP, last % WRAP)
        return self._wire.ask(Command.GET_DAT, pair)

    def hear_data(self, header: Header, n: int) -> Array:
        """Return the ``n`` samples that were asked for behind `ask_wait`.

        Raises
        ------
        Refused
            Some of them are not there.
        """
        wire = self._wire
        array = np.empty((n, header.n_channels), dtype=header.dtype.newbyteorder(wire.order))
        body, head = array.data.cast("B"), memoryview(self._head)
        got = self._fill(head, body, at_least=wire.message.size)
        size = self._judge(head)
        if got < len(head):
            self._fill(head[got:])
            got = len(head)
        shape = decode_data_head(wire, head[wire.message.size :], size)
        if shape != (header.n_channels, n, header.data_type):
            raise Malformed(
                where="FieldTrip buffer",
                expected=f"{n} samples of {header.n_channels} channels, type {header.data_type}",
                got=f"{shape[1]} samples of {shape[0]} channels, type {shape[2]}",
            )
        self._fill(body[got - len(head) :])
        return array if array.dtype.isnative else array.astype(header.dtype)

    def get_events(self, first: int | None = None, last: int | None = None) -> list[Event]:
        """Return events first to last, both included, or all that the server still has.

        Raises
        ------
        Refused
            Some of them are not there.
        """
        which = b"" if first is None or last is None else self._wire.pair.pack(first, last)
        return decode_events(self._wire, self._do(Command.GET_EVT, which))

    def ask_wait(
        self, samples: int, events: int, milliseconds: int, then: tuple[int, int] | None = None
    ) -> None:
        """Ask to be told when there are more than so many samples or events, or time is up.

        ``then`` asks in the same breath for samples, first to last: they come without another
        journey there and back, or ERR does. `hear_wait` and `hear_data` take the two answers.
        """
        wait = self._wire.wait.pack(samples % WRAP, events % WRAP, milliseconds)
        ask = self._wire.ask(Command.WAIT_DAT, wait)
        self._socket.sendall(ask if then is None else ask + self._range(*then))

    def hear_wait(self) -> tuple[int, int]:
        """Return the counts of samples and events that answer `ask_wait`, modulo 2**32.

        Raises
        ------
        Refused
            There is no header.
        """
        pair = self._wire.pair
        head = memoryview(self._head)[: self._wire.message.size]
        self._fill(head)
        size = self._judge(head)
        if size != pair.size:
            raise Malformed(where="FieldTrip buffer", expected="two counts", got=f"{size} bytes")
        self._fill(head)
        samples, events = pair.unpack(head)
        return samples, events

    def wait(self, samples: int, events: int, milliseconds: int) -> tuple[int, int]:
        """Ask and wait for the answer; ``milliseconds`` must lie below the client's timeout."""
        self.ask_wait(samples, events, milliseconds)
        return self.hear_wait()

    # the wire

    def _do(self, command: Command, payload: bytes = b"") -> bytearray:
        self._socket.sendall(self._wire.ask(command, payload))
        return self._answer()

    def _answer(self) -> bytearray:
        head = memoryview(self._head)[: self._wire.message.size]
        self._fill(head)
        size = self._judge(head)
        if size > MAX_ANSWER:
            raise Malformed(
                where="FieldTrip buffer",
                expected=f"an answer of at most {MAX_ANSWER} bytes",
                got=f"{size}",
            )
        payload = bytearray(size)
        self._fill(memoryview(payload))
        return payload

    def _judge(self, head: memoryview) -> int:
        """Return the size of an answer's payload where it says OK."""
        if wire_of(head) is not self._wire:
            raise Malformed(
                where="FieldTrip buffer",
                expected="an answer in the byte order of the request",
                got="the other one",
            )
        _, command, size = self._wire.message.unpack_from(head)
        if command & 0xFF == 0x05 and not size:
            raise Refused(f"the buffer answered ERR (0x{command:04x})")
        if command & 0xFF != 0x04:
            raise Malformed(where="FieldTrip buffer", expected="OK or ERR", got=f"0x{command:04x}")
        return int(size)

    def _fill(self, view: memoryview, then: memoryview | None = None, at_least: int = -1) -> int:
        """Receive into ``view``, and beyond it into ``then``; return how many bytes came.

        All of ``view`` comes, or ``at_least`` so many bytes where an answer may be shorter.
        """
        due, got = len(view) if at_least < 0 else at_least, 0
        while got < due:
            try:
                if then is None:
                    part = self._socket.recv_into(view[got:])
                else:
                    part = self._socket.recvmsg_into([view[got:], then])[0]
            except BlockingIOError as error:
                raise TimeoutError("the FieldTrip buffer does not answer: timed out") from error
            if not part:
                raise ConnectionError("the FieldTrip buffer hung up")
            got += part
        return got
