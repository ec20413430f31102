"""The driver, against the server: exact numbers through cuts, restarts and overruns."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from brainforge.acquisition import fieldtrip
from brainforge.acquisition.connect import make_driver
from brainforge.acquisition.driver import ConnectionLost, Packet
from brainforge.acquisition.fieldtrip.client import Client
from brainforge.acquisition.fieldtrip.codec import Command
from brainforge.acquisition.fieldtrip.driver import FieldTripDriver, discover, driver
from brainforge.acquisition.fieldtrip.events import Event
from brainforge.acquisition.live_source import LiveSource, Piece, Position
from brainforge.acquisition.notice import Notice, What
from brainforge.errors import InputError
from tests.acquisition.fieldtrip.conftest import NAMES, Buffer, server_process, signal


@contextmanager
def opened(address: str, resume: int | None = None) -> Iterator[FieldTripDriver]:
    it = driver(address)
    it.open(resume)
    try:
        yield it
    finally:
        it.close()


def gather(it: FieldTripDriver, until: Callable[[list[Packet]], bool]) -> list[Packet]:
    packets: list[Packet] = []
    deadline = time.monotonic() + 10
    while not until(packets):
        assert time.monotonic() < deadline, "nothing more came"
        packets += it.receive(0.2)
    return packets


def samples(n: int) -> Callable[[list[Packet]], bool]:
    return lambda packets: sum(len(p.data) for p in packets) >= n


def numbers(packets: list[Packet]) -> list[int]:
    return np.concatenate([p.counters for p in packets]).tolist()


def values(packets: list[Packet]) -> np.ndarray:
    return np.concatenate([p.data for p in packets])


def test_what_is_new_by_its_number(buffer) -> None:
    box = buffer()
    writer, data = box.writer(), signal(500)
    writer.put_data(data[:100])
    it = driver(box.address)
    info = it.open(None)
    assert info.names == NAMES
    assert [c.kind for c in info.channels] == ["mag", "grad", "grad", "stim"]
    assert it.receive(0.01) == []
    for k in range(100, 500, 80):
        writer.put_data(data[k : k + 80])
    packets = gather(it, samples(400))
    it.close()
    assert numbers(packets) == list(range(100, 500))
    assert np.array_equal(values(packets), data[100:])
    assert all(p.data.flags.c_contiguous for p in packets)


def test_resuming_gives_what_is_still_there(buffer) -> None:
    box = buffer(seconds=0.3)
    writer, data = box.writer(), signal(1000)
    with opened(box.address) as it:
        for k in range(0, 200, 100):
            writer.put_data(data[k : k + 100])
        assert numbers(gather(it, samples(200))) == list(range(200))
        it.close()
        writer.put_data(data[200:400])
        it.open(200)
        assert numbers(gather(it, samples(200))) == list(range(200, 400))
        # away for longer than the buffer reaches back: it holds the last 300
        it.close()
        for k in range(400, 1000, 100):
            writer.put_data(data[k : k + 100])
        it.open(400)
        packets = gather(it, samples(300))
        assert numbers(packets) == list(range(700, 1000))
        assert np.array_equal(values(packets), data[700:])


def test_too_slow_for_the_ring(buffer) -> None:
    box = buffer(seconds=0.1)
    writer, data = box.writer(), signal(1000)
    with opened(box.address) as it:
        writer.put_data(data[:50])
        gather(it, samples(50))
        for k in range(50, 1000, 50):
            writer.put_data(data[k : k + 50])
        packets = gather(it, samples(100))
        assert numbers(packets) == list(range(900, 1000))
        assert np.array_equal(values(packets), data[900:])


@pytest.mark.parametrize("n_before", [20, 60, 300])
def test_a_buffer_that_began_anew_is_recognised(buffer, n_before) -> None:
    """Even where the new count is past the old one when we look again."""
    box = buffer()
    writer, data = box.writer(), signal(1000)
    with opened(box.address) as it:
        writer.put_data(data[:n_before])
        gather(it, samples(n_before))
        writer.put_header(4, 1000.0, "float32", NAMES)
        writer.put_data(data[500:560])
        with pytest.raises(ConnectionLost, match="anew"):
            gather(it, samples(1))
        it.close()
        it.open(n_before)
        packets = gather(it, samples(60))
        assert numbers(packets) == list(range(60))
        assert np.array_equal(values(packets), data[500:560])


def test_another_server_behind_the_address() -> None:
    data = signal(300)
    with server_process("--port", "0") as (first, host, port):
        it = driver(f"{host}:{port}")
        with Client(host, port) as writer:
            writer.put_header(4, 1000.0, "float32", NAMES)
            it.open(None)
            writer.put_data(data[:100])
            gather(it, samples(100))
            first.kill()
            first.wait()
            with pytest.raises(ConnectionLost):
                gather(it, samples(1))
            it.close()
    with pytest.raises(ConnectionLost, match="refused"):
        it.open(100)
    with server_process("--port", str(port)):
        with pytest.raises(ConnectionLost, match="nobody has put a header"):
            it.open(100)
        with Client(host, port) as writer:
            writer.put_header(4, 1000.0, "float32", NAMES)
            writer.put_data(data[100:300])
            it.open(100)
            packets = gather(it, samples(200))
            it.close()
    assert numbers(packets) == list(range(200))
    assert np.array_equal(values(packets), data[100:])


@pytest.mark.parametrize("first", [2**31 - 100, 2**32 - 100])
def test_numbers_go_on_past_32_bits(buffer, first) -> None:
    box = buffer(first_sample=first)
    writer, data = box.writer(), signal(400)
    with opened(box.address) as it:
        for k in range(0, 200, 50):
            writer.put_data(data[k : k + 50])
            gather(it, samples(50))
        writer.put_events([Event.make("Trigger", 5)])
        writer.put_data(data[200:300])
        packets = gather(it, samples(100))
        assert numbers(packets) == list(range(first + 200, first + 300))
        assert [m.counter for p in packets for m in p.markers] == [first + 200]
        it.close()
        writer.put_data(data[300:])
        it.open(first + 300)
        assert numbers(gather(it, samples(100))) == list(range(first + 300, first + 400))


def test_events_become_markers(buffer) -> None:
    box = buffer()
    writer = box.writer()
    writer.put_data(signal(100))
    writer.put_events([Event.make("before", 1, 50)])
    with opened(box.address) as it:
        events = [
            Event.make("STI101", 5, 90),
            Event.make("Stimulus", "left", 95),
            Event.make("response", "12", 96),
            Event.make(3, 2.0, 97),
            Event.make("both", (1, 2), 98),
        ]
        writer.put_events(events)
        packets = gather(it, lambda p: bool(p))
        assert sum(len(p.data) for p in packets) == 0
        markers = [m for p in packets for m in p.markers]
        assert [(m.code, m.label, m.counter) for m in markers] == [
            (5, "STI101", 90),
            (0, "Stimulus=left", 95),
            (12, "response", 96),
            (2, "3", 97),
            (0, "both=(1, 2)", 98),
        ]
        # somebody else takes over at sample 96
        with opened(box.address, resume=96) as other:
            packets = gather(other, samples(4))
            assert [m.counter for p in packets for m in p.markers] == [96, 97, 98]
        writer.flush(Command.FLUSH_EVT)
        writer.put_events([Event.make("STI101", 6, 99)])
        packets = gather(it, lambda p: bool(p))
        assert [m.code for p in packets for m in p.markers] == [6]


def test_wake(buffer) -> None:
    box = buffer()
    writer, data = box.writer(), signal(50)
    with opened(box.address) as it:
        timer = threading.Timer(0.1, it.wake)
        timer.start()
        began = time.monotonic()
        assert it.receive(30.0) == []
        assert time.monotonic() - began < 5
        timer.join()
        # the answer to the wait that was left is not lost
        writer.put_data(data)
        assert np.array_equal(values(gather(it, samples(50))), data)
    it.wake()


def test_a_server_that_hangs(monkeypatch) -> None:
    monkeypatch.setattr(fieldtrip.driver, "PATIENCE", 0.3)
    with server_process("--port", "0") as (process, host, port), Client(host, port) as writer:
        writer.put_header(4, 1000.0, "float32", NAMES)
        with opened(f"{host}:{port}") as it:
            try:
                process.send_signal(subprocess.signal.SIGSTOP)
                with pytest.raises(ConnectionLost, match="no answer"):
                    gather(it, samples(1))
                it.close()
                with pytest.raises(ConnectionLost, match="timed out"):
                    it.open(0)
            finally:
                process.send_signal(subprocess.signal.SIGCONT)


def test_what_is_no_buffer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def speak() -> None:
            sock, _ = listener.accept()
            with sock:
                sock.recv(8)
                sock.sendall(b"SSH-2.0-OpenSSH_9.9\r\n")

        thread = threading.Thread(target=speak)
        thread.start()
        with pytest.raises(InputError, match="FieldTrip buffer"):
            driver(f"127.0.0.1:{listener.getsockname()[1]}").open(None)
        thread.join()


@pytest.mark.parametrize(
    "address",
    ["", "host", ":1972", "host:0", "host:70000", "host:x", "host:1972,unit=mT", "h:1,color=red",
     "h:1,unit", "h:1,kind=brain", "h:1,scale=-1", "h:1,scale=x"],
)  # fmt: skip
def test_addresses_that_are_refused(address) -> None:
    with pytest.raises(InputError, match="expected"):
        driver(address)


def test_an_option_that_there_is_not() -> None:
    with pytest.raises(InputError, match="speed=max"):
        driver("box:7", speed="max")


def test_addresses() -> None:
    assert driver("box:7").name == "fieldtrip:box:7"
    assert driver("box:7,unit=fT,neuromag=off", kind="mag").name == "fieldtrip:box:7"
    assert driver("[::1]:7").name == "fieldtrip:::1:7"
    assert make_driver("fieldtrip:box:7,unit=fT").name == "fieldtrip:box:7"
    with pytest.raises(InputError, match="port"):
        make_driver("fieldtrip:box")


def test_discovery(buffer, monkeypatch) -> None:
    box = buffer()
    monkeypatch.setattr(fieldtrip.driver, "PORT", box.server.address[1])
    assert discover() == []
    box.writer(sfreq=500.0)
    assert discover() == [{"source": f"fieldtrip:{box.address}", "channels": 4, "rate_hz": 500.0}]


# the whole of it: LiveSource on top


class Reading:
    """How far a stream has been read, for those who write into it."""

    def __init__(self) -> None:
        self.items: list[Any] = []
        self._changed = threading.Condition()
        self._over = False

    def take(self, source: LiveSource) -> None:
        try:
            for item in source.stream():
                with self._changed:
                    self.items.append(item)
                    self._changed.notify_all()
        finally:
            with self._changed:
                self._over = True
                self._changed.notify_all()

    def until(self, n: int) -> None:
        """Wait until ``n`` samples have come through, or the stream has ended."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._over or self._n() >= n, timeout=30)

    def until_over(self) -> None:
        """Wait until the stream has ended by itself."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._over, timeout=30)

    def _n(self) -> int:
        return sum(i.block.data.shape[1] for i in self.items if isinstance(i, Piece))


def stream(
    box: Buffer, act: Callable[[Client, Reading], None], **options
) -> tuple[list[Piece], list]:
    """Return the pieces, and all else, of a stream into which ``act`` writes."""
    writer = box.writer()
    source = LiveSource(driver(box.address), **options)
    reading = Reading()
    failed: list[BaseException] = []

    def run() -> None:
        try:
            act(writer, reading)
        except BaseException as error:
            failed.append(error)
        finally:
            source.stop()

    with source:
        thread = threading.Thread(target=run)
        thread.start()
        try:
            reading.take(source)
        finally:
            thread.join()
    assert not failed, failed
    assert source.exact
    pieces = [i for i in reading.items if isinstance(i, Piece)]
    return pieces, [i for i in reading.items if not isinstance(i, Piece)]


def test_ledger_of_a_slow_reader_is_exact(buffer) -> None:
    """The ring is shorter than what is written while nobody reads."""
    box = buffer(seconds=0.5)
    data = signal(5000)

    def act(writer: Client, reading: Reading) -> None:
        for k in range(0, 5000, 250):
            writer.put_data(data[k : k + 250])

    pieces, rest = stream(box, act, position=Position(0, 0))
    gaps = [i for i in rest if isinstance(i, Notice) and i.what is What.GAP]
    assert all(gap.exact for gap in gaps)
    stored = sum(p.block.data.shape[1] for p in pieces)
    assert stored + sum(gap.stop - gap.start for gap in gaps) == 5000
    for piece in pieces:
        assert piece.block.start == piece.counter
        stop = piece.counter + piece.block.data.shape[1]
        assert np.array_equal(piece.block.data.T, data[piece.counter : stop])


def test_a_new_header_goes_on_as_the_same_recording(buffer) -> None:
    box = buffer()
    data = signal(600)

    def act(writer: Client, reading: Reading) -> None:
        writer.put_data(data[:300])
        reading.until(300)
        writer.put_header(4, 1000.0, "float32", NAMES)
        for k in range(300, 600, 50):
            writer.put_data(data[k : k + 50])
            time.sleep(0.05)
        reading.until(600)

    pieces, rest = stream(box, act)
    got = np.concatenate([p.block.data.T for p in pieces])
    assert np.array_equal(got, data), rest
    kinds = [i.what for i in rest if isinstance(i, Notice)]
    assert What.LOST in kinds
    assert What.COUNTER in kinds


def test_changed_channels_are_refused(buffer) -> None:
    box = buffer()

    def act(writer: Client, reading: Reading) -> None:
        writer.put_data(signal(100))
        reading.until(100)
        writer.put_header(4, 1000.0, "float32", [*NAMES[:2], "MEG0122", NAMES[3]])
        writer.put_data(signal(100, seed=8))
        reading.until_over()

    with pytest.raises(InputError, match="MEG0113"):
        stream(box, act)


def test_a_recorder_that_takes_over(buffer) -> None:
    box = buffer()
    data = signal(300)
    box.writer().put_data(data)
    source = LiveSource(driver(box.address), position=Position(1050, 50))
    with source:
        pieces = []
        for item in source.stream():
            pieces += [item] if isinstance(item, Piece) else []
            if pieces[-1].block.stop == 1300:
                source.stop()
    assert pieces[0].block.start == 1050
    assert np.array_equal(np.concatenate([p.block.data.T for p in pieces]), data[50:])
