"""The server, over real sockets."""

from __future__ import annotations

import contextlib
import resource
import socket
import struct
import threading
import time

import numpy as np
import pytest

from brainforge.acquisition.fieldtrip import server as server_module
from brainforge.acquisition.fieldtrip.client import Client, Refused
from brainforge.acquisition.fieldtrip.codec import (
    BIG,
    DTYPES,
    LITTLE,
    ChunkType,
    Command,
    Malformed,
)
from brainforge.acquisition.fieldtrip.events import Event
from tests.acquisition.fieldtrip.conftest import NAMES, server_process, signal


def raw(place: tuple[str, int]) -> socket.socket:
    sock = socket.create_connection(place, 5)
    return sock


def answer(sock: socket.socket) -> tuple[int, int, int]:
    data = b""
    while len(data) < 8 and (part := sock.recv(8 - len(data))):
        data += part
    return struct.unpack("<HHI", data)


@pytest.mark.parametrize("dtype", sorted(set(DTYPES)))
def test_every_data_type_in_either_order(buffer, dtype) -> None:
    box = buffer()
    rng = np.random.default_rng(3)
    data = rng.integers(0, 100, (60, 3)).astype(dtype)
    for wire in (LITTLE, BIG):
        writer = Client(*box.server.address, wire=wire)
        with writer:
            writer.put_header(3, 250.0, dtype)
            for k in range(0, 60, 20):
                writer.put_data(data[k : k + 20])
            for reader in (box.client(), box.client(wire=BIG)):
                header = reader.get_header()
                assert (header.n_samples, header.sfreq, header.dtype) == (60, 250.0, dtype)
                got = reader.get_data(header, 5, 59)
                assert got.dtype == dtype
                assert np.array_equal(got, data[5:])
        deadline = time.monotonic() + 5
        while True:  # the writer's place is free as soon as the server has seen it leave
            try:
                box.client().put_header(3, 250.0, dtype)
                break
            except Refused:
                assert time.monotonic() < deadline
        box.stack.close()
        box = buffer()


def test_names_and_chunks_come_back(buffer) -> None:
    box = buffer()
    chunks = [(int(ChunkType.CTF_RES4), bytes(range(256)) * 12_000), (200, b"")]
    box.client().put_header(4, 1000.0, "float32", NAMES, chunks)
    header = box.client().get_header()
    assert header.names == NAMES
    assert list(header.chunks[1:]) == chunks


def test_a_second_writer_is_refused(buffer) -> None:
    box = buffer()
    first, second = box.writer(), box.client()
    data = signal(100)
    first.put_data(data)
    for attempt in (
        lambda: second.put_header(4, 500.0, "float32"),
        lambda: second.put_data(data),
        lambda: second.flush(Command.FLUSH_HDR),
        lambda: second.flush(Command.FLUSH_DAT),
        lambda: second.flush(Command.FLUSH_EVT),
    ):
        with pytest.raises(Refused, match="ERR"):
            attempt()
    assert len(box.said) == 5
    assert "is writing" in box.said[0]
    second.put_events([Event.make("Button", 3, 5)])
    assert np.array_equal(second.get_data(second.get_header(), 0, 99), data)
    first.close()
    deadline = time.monotonic() + 5
    while second.wait(100, 99, 0)[0] == 100:
        try:
            second.put_data(data)
        except Refused:
            assert time.monotonic() < deadline
    assert second.get_header().n_samples == 200


def test_waiting_waits(buffer) -> None:
    box = buffer()
    writer, reader, third = box.writer(), box.client(), box.client()
    with pytest.raises(Refused):
        box.client().get_data(reader.get_header(), 0, 0)
    began = time.monotonic()
    assert reader.wait(0, 0, 120) == (0, 0)
    assert 0.11 <= time.monotonic() - began < 2
    reader.ask_wait(49, 2**32 - 1, 60_000)
    third.ask_wait(2**32 - 1, 0, 60_000)
    for _ in range(5):
        writer.put_data(signal(10))
    assert reader.hear_wait() == (50, 0)
    writer.put_events([Event.make("a", 1)])
    assert third.hear_wait() == (50, 1)
    assert writer.wait(0, 0, 0) == (50, 1)
    # all that wait are told when there is nothing left to wait for
    reader.ask_wait(1000, 1000, 60_000)
    writer.flush(Command.FLUSH_HDR)
    with pytest.raises(Refused):
        reader.hear_wait()
    with pytest.raises(Refused):
        reader.wait(0, 0, 60_000)


def test_events_by_number(buffer) -> None:
    box = buffer()
    writer = box.writer()
    with pytest.raises(Refused):
        writer.get_events()
    events = [Event.make("t", k, 10 * k, k) for k in range(5)]
    writer.put_events(events[:2])
    box.client(wire=BIG).put_events(events[2:])
    assert writer.get_events() == events
    assert box.client(wire=BIG).get_events(1, 3) == events[1:4]
    with pytest.raises(Refused):
        writer.get_events(3, 5)


def test_puts_without_answer(buffer) -> None:
    box = buffer()
    box.client().put_header(2, 10.0, "int16")
    box.stack.close()
    box = buffer()
    with raw(box.server.address) as sock:
        header = struct.pack("<IIIfII", 2, 0, 0, 10.0, 6, 0)
        data = struct.pack("<IIII4h", 2, 2, 6, 8, 1, 2, 3, 4)
        sock.sendall(LITTLE.ask(0x0501, header) + LITTLE.ask(0x0502, data) * 3)
        sock.sendall(LITTLE.ask(Command.WAIT_DAT, struct.pack("<III", 5, 0, 2000)))
        assert answer(sock) == (1, Command.WAIT_OK, 8)
        assert sock.recv(8) == struct.pack("<II", 6, 0)


def test_requests_in_a_row_and_in_crumbs(buffer) -> None:
    box = buffer()
    box.writer().put_data(signal(10))
    ask = LITTLE.ask(Command.WAIT_DAT, struct.pack("<III", 0, 0, 0))
    with raw(box.server.address) as sock:
        sock.sendall(ask * 50)
        for _ in range(50):
            assert answer(sock) == (1, Command.WAIT_OK, 8)
            assert sock.recv(8, socket.MSG_WAITALL) == struct.pack("<II", 10, 0)
        for byte in ask:
            sock.sendall(bytes([byte]))
        assert answer(sock) == (1, Command.WAIT_OK, 8)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (struct.pack("<HHI", 1, 0x0101, 2**32 - 1), 0x0105),
        (struct.pack("<HHI", 1, 0x0102, 2**31), 0x0105),
        (struct.pack("<HHI", 1, 0x0202, 9), 0x0205),
        (struct.pack("<HHI", 1, 0x0999, 1), 0x0905),
        (b"GET / HTTP/1.1\r\n\r\n", None),
        (b"\x00\x00\x00\x00\x00\x00\x00\x00", None),
    ],
    ids=["huge header", "huge data", "too long", "unknown", "http", "zeros"],
)
def test_hostile_messages_end_the_connection(buffer, message, code) -> None:
    box = buffer()
    writer = box.writer()
    with raw(box.server.address) as sock:
        sock.sendall(message)
        if code is not None:
            assert answer(sock) == (1, code, 0)
        # a reset where we had sent more than it took
        with contextlib.suppress(ConnectionResetError):
            assert sock.recv(100) == b""
    writer.put_data(signal(5))
    assert "expected" in box.said[0]


@pytest.mark.parametrize(
    ("command", "payload", "code"),
    [
        (0x0101, struct.pack("<IIIfII", 0, 0, 0, 1.0, 9, 0), 0x0105),
        (0x0101, b"", 0x0105),
        (0x0102, struct.pack("<IIII", 4, 2**31, 9, 0), 0x0105),
        (0x0103, bytes(31), 0x0105),
        (0x0202, bytes(4), 0x0205),
        (0x0203, bytes(5), 0x0205),
        (0x0402, bytes(11), 0x0405),
        (0x0204, b"", 0x0205),
        (0x0999, b"", 0x0905),
    ],
)
def test_malformed_requests_are_answered_with_err(buffer, command, payload, code) -> None:
    box = buffer()
    writer = box.writer()
    writer.put_data(signal(5))
    with raw(box.server.address) as sock:
        for _ in range(3):
            sock.sendall(LITTLE.ask(command, payload))
            assert answer(sock) == (1, code, 0)
    assert writer.get_header().n_samples == 5


def test_a_promise_costs_no_memory(buffer) -> None:
    box = buffer()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with raw(box.server.address) as sock:
        sock.sendall(struct.pack("<HHI", 1, 0x0102, 64 << 20) + bytes(1000))
        box.writer()
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 16_000


def test_a_client_that_stops_reading_stops_nobody(buffer) -> None:
    n, more = 20_000, 10_000
    box = buffer(seconds=20.0)
    writer, reader = box.writer(306), box.client()
    data = signal(n + more, 306)
    for k in range(0, n, 1000):
        writer.put_data(data[k : k + 1000])
    header = reader.get_header()
    body = b""
    with raw(box.server.address) as sock:
        # asks for 24 MB, more than sockets hold, and takes none of it
        sock.sendall(LITTLE.ask(Command.GET_DAT, struct.pack("<II", 0, n - 1)))
        assert answer(sock) == (1, Command.GET_OK, 16 + data[:n].nbytes)
        slowest = 0.0
        for k in range(n, n + more, 100):
            began = time.monotonic()
            writer.put_data(data[k : k + 100])
            assert np.array_equal(reader.get_data(header, k, k + 99), data[k : k + 100])
            slowest = max(slowest, time.monotonic() - began)
        assert slowest < 1.0
        # what it asked for is written over: it gets what was sent, then the end, never a mixture
        with contextlib.suppress(ConnectionResetError):
            sock.recv(16, socket.MSG_WAITALL)
            while part := sock.recv(1 << 20):
                body += part
    assert len(body) < data[:n].nbytes
    assert data.tobytes().startswith(body)
    assert any("in time" in line for line in box.said)


def test_standing_still_in_the_middle_ends_it(buffer, monkeypatch) -> None:
    monkeypatch.setattr(server_module, "STALLED", 0.2)
    box = buffer()
    with raw(box.server.address) as sock:
        sock.sendall(b"\x01\x00\x01")
        sock.settimeout(10)
        assert sock.recv(1) == b""
    assert "stood still" in box.said[0]


def test_too_many_clients(buffer, monkeypatch) -> None:
    monkeypatch.setattr(server_module, "MAX_CLIENTS", 2)
    box = buffer()
    box.writer()
    box.client().get_header()
    with raw(box.server.address) as sock:
        assert sock.recv(1) == b""
    assert "2 clients" in box.said[0]


@pytest.mark.parametrize("first", [17_106_000, 2**31 - 300, 2**32 - 300])
def test_numbers_where_others_break(buffer, first) -> None:
    box = buffer(first_sample=first)
    writer, reader = box.writer(), box.client()
    data = signal(2000)
    header = reader.get_header()
    at = first
    for k in range(0, 2000, 50):
        writer.put_data(data[k : k + 50])
        samples, _ = reader.wait(at, 0, 1000)
        assert samples == (first + k + 50) % 2**32
        assert np.array_equal(reader.get_data(header, at, at + 49), data[k : k + 50])
        at += 50
    assert np.array_equal(reader.get_data(header, first, first + 1999), data)


def test_many_clients_at_once(buffer) -> None:
    box = buffer()
    writer = box.writer()
    data = signal(1000)
    wrong: list[str] = []

    def read() -> None:
        with Client(*box.server.address) as client:
            header, at, got = client.get_header(), 0, []
            while at < 1000:
                count, _ = client.wait(at, 2**32 - 1, 2000)
                got.append(client.get_data(header, at, count - 1))
                at = count
            if not np.array_equal(np.concatenate(got), data):
                wrong.append("a reader got something else")

    readers = [threading.Thread(target=read) for _ in range(20)]
    for thread in readers:
        thread.start()
    for k in range(0, 1000, 20):
        writer.put_data(data[k : k + 20])
    for thread in readers:
        thread.join(30)
    assert not wrong


def test_the_client_refuses_nonsense() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def speak() -> None:
            for text in (b"SSH-2.0-OpenSSH_9.9\r\n", struct.pack("<HHI", 1, 0x204, 2**31)):
                sock, _ = listener.accept()
                with sock:
                    sock.recv(8)
                    sock.sendall(text)

        thread = threading.Thread(target=speak)
        thread.start()
        for _ in range(2):
            with Client(*listener.getsockname()) as client, pytest.raises(Malformed):
                client.get_header()
        thread.join()


def test_as_a_process() -> None:
    with server_process("--port", "0", "--seconds", "1") as (process, host, port):
        with Client(host, port) as writer, Client(host, port) as reader:
            writer.put_header(4, 1000.0, "float32", NAMES)
            data = signal(1500)
            for k in range(0, 1500, 100):
                writer.put_data(data[k : k + 100])
            header = reader.get_header()
            assert np.array_equal(reader.get_data(header, 500, 1499), data[500:])
            with pytest.raises(Refused):
                reader.get_data(header, 499, 600)
        process.terminate()
        assert process.wait(10) == 0


def test_an_address_that_is_taken(buffer, capsys) -> None:
    host, port = buffer().server.address
    assert server_module.main(["--host", host, "--port", str(port)]) == 2
    assert "cannot listen" in capsys.readouterr().err
