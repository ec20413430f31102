from __future__ import annotations

import itertools
import socket
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from brainforge.acquisition import bridge as sending
from brainforge.acquisition import framed
from brainforge.acquisition.driver import ConnectionLost, Ended, Packet
from brainforge.acquisition.framed import FrameReader, Kind
from brainforge.acquisition.framed_info import Hello, encode_hello
from brainforge.acquisition.tcp import FramedDriver, driver
from brainforge.errors import InputError
from brainforge.info import Channel, Info

INFO = Info(1000.0, tuple(Channel(f"M{i}", "mag", cal=1e-15) for i in range(4)), device="test")


#: a bridge that waits for nobody when it is closed
Bridge = partial(sending.Bridge, linger_s=0.1)


def counts(first: int, n: int = 50) -> np.ndarray:
    return (first + np.arange(n, dtype=np.int32))[:, None] + 1000 * np.arange(4, dtype=np.int32)


def collected(link: FramedDriver, n: int) -> list[Packet]:
    """Return packets until they hold ``n`` samples; fails after some seconds."""
    packets, until = [], time.monotonic() + 10.0
    while sum(len(p.data) for p in packets) < n:
        assert time.monotonic() < until, f"only {sum(len(p.data) for p in packets)} of {n} samples"
        packets += link.receive(0.2)
    return packets


def until_lost(link: FramedDriver) -> None:
    """Go on receiving nothing until it raises, for some seconds."""
    until = time.monotonic() + 10.0
    while time.monotonic() < until:
        assert link.receive(0.05) == []


def streaming(bridge: sending.Bridge, n: int = 1) -> None:
    """Wait until the bridge has understood what its receivers want."""
    until = time.monotonic() + 5.0
    while bridge.n_receivers != n:
        assert time.monotonic() < until, "no receiver"
        time.sleep(0.001)


@pytest.fixture(params=["tcp", "unix"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return "tcp:127.0.0.1:0" if request.param == "tcp" else f"unix:{tmp_path / 'socket'}"


@pytest.fixture
def link() -> Iterator[list[FramedDriver]]:
    """Return a list of drivers that are closed at the end."""
    links: list[FramedDriver] = []
    yield links
    for one in links:
        one.close()


def test_samples_counters_stamps_and_markers_arrive(address: str, link: list[FramedDriver]) -> None:
    with Bridge(INFO, address) as bridge:
        one = driver(bridge.address)
        link.append(one)
        assert one.open(None).names == INFO.names
        assert one.name == bridge.address
        streaming(bridge)
        began = time.monotonic()
        bridge.marker(7, "go", counter=120)
        bridge.send(counts(100), counter=100)
        bridge.send(counts(150))
        packets = collected(one, 100)
        assert np.array_equal(np.concatenate([p.data for p in packets]), counts(100, 100))
        assert np.concatenate([p.counters for p in packets]).tolist() == list(range(100, 200))
        # the bridge's clock is ours here, so the offset found must be none
        assert abs(one.clock_offset) < 0.05
        assert packets[0].stamps == pytest.approx(began + np.arange(-49, 1) / 1000.0, abs=0.1)
        (marker,) = packets[0].markers
        assert (marker.code, marker.label, marker.counter) == (7, "go", 120)
        assert all(began <= p.arrival <= time.monotonic() for p in packets)
        bridge.marker(8)
    (last,) = one.receive(1.0)
    assert (last.data.shape, last.markers[0].code) == ((0, 4), 8)
    with pytest.raises(Ended):
        one.receive(1.0)


def test_two_nan_samples_come_as_the_bits_they_are(link: list[FramedDriver]) -> None:
    data = np.random.default_rng(5).standard_normal((50, 4)).astype(np.float32)
    data.view(np.uint32)[10:12, 2] = (0x7FC0_1234, 0xFF80_0001)  # quiet, and signalling
    with Bridge(INFO, "tcp:127.0.0.1:0", "float32") as bridge:
        link.append(driver(bridge.address))
        link[0].open(None)
        streaming(bridge)
        bridge.send(data)
        (packet,) = collected(link[0], 50)
    assert packet.data.tobytes() == data.tobytes()
    assert np.isnan(packet.data).sum() == 2


def test_after_a_cut_it_goes_on_at_the_very_sample(address: str, link: list[FramedDriver]) -> None:
    with Bridge(INFO, address) as bridge:
        link.append(driver(bridge.address))
        link[0].open(None)
        streaming(bridge)
        bridge.send(counts(0))
        collected(link[0], 50)
        link[0].close()
        for first in range(50, 500, 50):
            bridge.send(counts(first))
        assert link[0].open(resume=37).n_channels == 4
        packets = collected(link[0], 463)
        assert np.concatenate([p.counters for p in packets]).tolist() == list(range(37, 500))
        assert np.array_equal(np.concatenate([p.data for p in packets]), counts(37, 463))
    assert bridge.dropped == 0


def test_of_a_sender_started_anew_all_it_has_kept_is_asked_for(link: list[FramedDriver]) -> None:
    with Bridge(INFO, "tcp:127.0.0.1:0") as bridge:
        link.append(driver(bridge.address))
        link[0].open(None)
        address = bridge.address
    with Bridge(INFO, address) as bridge:
        bridge.send(counts(0))
        link[0].open(resume=90_000)  # where the old counter was
        (packet,) = collected(link[0], 50)
        assert packet.counters[0] == 0
        assert packet.anew


def test_a_counter_that_wraps_is_handed_out_as_it_came(link: list[FramedDriver]) -> None:
    with Bridge(INFO, "tcp:127.0.0.1:0", counter_bits=16) as bridge:
        bridge.send(counts(0), counter=65_520)
        bridge.send(counts(50))
        link.append(driver(bridge.address))
        link[0].open(resume=3 * 65_536 + 65_530)  # unwrapped, as the recorder counts
        packets = collected(link[0], 90)
    assert link[0].counter_bits == 16
    expected = [(65_530 + i) % 65_536 for i in range(90)]
    assert np.concatenate([p.counters for p in packets]).tolist() == expected


def test_a_silent_sender_is_lost_and_one_that_answers_is_not(link: list[FramedDriver]) -> None:
    ticks = itertools.count()
    with Bridge(INFO, "tcp:127.0.0.1:0") as bridge:
        host, port = bridge.address.split(":")[1:]
        target = (socket.AF_INET, (host, int(port)))
        # a clock that runs a hundredth of a second at every look: hours pass in moments
        one = FramedDriver("x", lambda: target, monotonic=lambda: next(ticks) / 100.0)
        link.append(one)
        one.open(None)
        until = time.monotonic() + 0.3
        while time.monotonic() < until:
            assert one.receive(0.05) == []
        assert next(ticks) > 30


def test_without_a_sign_of_life_the_connection_is_lost(link: list[FramedDriver]) -> None:
    with Peer([encode_hello(Hello(INFO, "int32")), framed.encode_pong(bytes(8), 0.0)]) as peer:
        one = driver(peer.address, dead_s=0.2)
        link.append(one)
        one.open(None)
        began = time.monotonic()
        with pytest.raises(ConnectionLost, match=r"no sign of life for 0\.2 s"):
            until_lost(one)
        assert time.monotonic() - began < 3.0


def test_wake_lets_a_waiting_receive_return(link: list[FramedDriver]) -> None:
    with Bridge(INFO, "tcp:127.0.0.1:0") as bridge:
        link.append(driver(bridge.address))
        link[0].open(None)
        caller = threading.Timer(0.05, link[0].wake)
        caller.start()
        began = time.monotonic()
        assert link[0].receive(30.0) == []
        assert time.monotonic() - began < 5.0
        caller.join()
    link[0].close()
    link[0].wake()  # of a closed one nothing happens


class Peer:
    """A sender that says the given bytes to whoever comes and then nothing more."""

    def __init__(self, says: list[bytes], close: bool = False) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"tcp:127.0.0.1:{self._listener.getsockname()[1]}"
        self._says, self._close = says, close
        self._connections: list[socket.socket] = []
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Peer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        for one in (self._listener, *self._connections):
            one.close()

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._connections.append(connection)
            for part in self._says:
                connection.sendall(part)
                time.sleep(0.05)
            if self._close:
                connection.close()


def test_a_server_of_something_else_is_named(link: list[FramedDriver]) -> None:
    with Peer([b"SSH-2.0-OpenSSH_9.6 and then some more\r\n"]) as peer:
        link.append(driver(peer.address))
        with pytest.raises(InputError, match="expected the framed live protocol, got other bytes"):
            link[0].open(None)


@pytest.mark.parametrize("says", [[], [encode_hello(Hello(INFO, "int32"))]])
def test_a_sender_that_hangs_up_in_the_greeting_is_lost(
    says: list[bytes], link: list[FramedDriver]
) -> None:
    with Peer(says, close=True) as peer:
        link.append(driver(peer.address))
        with pytest.raises(ConnectionLost):
            link[0].open(None)


def test_nobody_there_is_lost_not_an_internal_error(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    for address in (f"tcp:127.0.0.1:{port}", f"unix:{tmp_path}/none", "tcp:no-such-host.invalid:9"):
        with pytest.raises(ConnectionLost):
            driver(address).open(None)


@pytest.mark.parametrize("address", ["tcp:5555", "tcp:host:http", "tcp:host:0", "tcp::9", "x:²"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(InputError, match="expected tcp:HOST:PORT"):
        driver(address)


def test_a_stream_announced_anew_with_other_channels_is_opened_anew(
    link: list[FramedDriver],
) -> None:
    other = Info(1000.0, INFO.channels[:2])
    says = [
        encode_hello(Hello(INFO, "int32")),
        framed.encode_pong(bytes(8), 0.0),
        framed.encode_data(framed.Data(0, 0.0, counts(0))),
        encode_hello(Hello(other, "int32")),
        framed.encode_data(framed.Data(50, 0.0, counts(50)[:, :2].copy())),
    ]
    with Peer(says) as peer:
        link.append(driver(peer.address))
        link[0].open(None)
        assert len(collected(link[0], 50)) == 1
        with pytest.raises(ConnectionLost, match="announced another stream"):
            until_lost(link[0])


def test_a_damaged_frame_is_counted_and_the_next_one_taken(link: list[FramedDriver]) -> None:
    torn = bytearray(framed.encode_data(framed.Data(50, 0.0, counts(50))))
    torn[200] ^= 4
    says = [
        encode_hello(Hello(INFO, "int32")),
        framed.encode_pong(bytes(8), 0.0),
        framed.encode_data(framed.Data(0, 0.0, counts(0))) + bytes(torn),
        framed.encode(Kind.DATA, bytes(40)),  # whole, but makes no sense
        framed.encode_data(framed.Data(100, 0.0, counts(100))),
    ]
    with Peer(says) as peer:
        link.append(driver(peer.address))
        link[0].open(None)
        packets = collected(link[0], 100)
    assert [int(p.counters[0]) for p in packets] == [0, 100]
    assert link[0].refused == 2


def test_what_the_driver_sends_is_what_the_document_says(link: list[FramedDriver]) -> None:
    with Bridge(INFO, "tcp:127.0.0.1:0") as bridge:
        host, port = bridge.address.split(":")[1:]
        with socket.create_connection((host, int(port))) as raw:
            raw.settimeout(5.0)
            raw.sendall(framed.encode_ping(4.0) + framed.encode_resume(framed.FROM_NOW))
            reader, kinds = FrameReader(), []
            while len(kinds) < 2:
                kinds += [f.kind for f in reader.feed(raw.recv(65_536))]
            assert kinds == [Kind.HELLO, Kind.PONG]
            raw.sendall(b"no frame at all")  # junk is passed over
            streaming(bridge)
            raw.sendall(framed.encode(Kind.RESUME, bytes(3)))  # a frame that makes no sense is not
            streaming(bridge, 0)
