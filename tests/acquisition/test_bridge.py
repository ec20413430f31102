from __future__ import annotations

import socket
import time
from pathlib import Path

import numpy as np
import pytest

from brainforge.acquisition import framed
from brainforge.acquisition.bridge import Bridge
from brainforge.acquisition.driver import Ended
from brainforge.acquisition.tcp import driver
from brainforge.errors import InputError, OutputError
from brainforge.info import Channel, Info

INFO = Info(1000.0, tuple(Channel(f"M{i}", "mag", cal=1e-15) for i in range(306)))
LOCAL = "tcp:127.0.0.1:0"


def packet(first: int = 0, n: int = 50) -> np.ndarray:
    return np.repeat(np.arange(first, first + n, dtype=np.int32)[:, None], 306, axis=1)


def connected(bridge: Bridge, begin: bool = True) -> socket.socket:
    """Return a receiver that reads nothing by itself."""
    host, port = bridge.address.split(":")[1:]
    raw = socket.create_connection((host, int(port)))
    raw.sendall(framed.encode_resume(framed.FROM_NOW) if begin else b"")
    until = time.monotonic() + 5.0
    while begin and not bridge.n_receivers:
        assert time.monotonic() < until
        time.sleep(0.001)
    return raw


def test_a_receiver_that_does_not_read_holds_nobody_up() -> None:
    with Bridge(INFO, LOCAL, keep_s=2.0, linger_s=0.0) as bridge, connected(bridge):
        longest = 0.0
        for first in range(0, 60_000, 50):
            data = packet(first)
            began = time.thread_time()
            bridge.send(data)
            longest = max(longest, time.thread_time() - began)
        # far more than sockets hold: what nobody took in time has gone, and is counted
        assert bridge.dropped > 30_000
        assert longest < 0.05


def test_a_receiver_behind_gets_what_is_left_and_sees_the_gap() -> None:
    with Bridge(INFO, LOCAL, keep_s=2.0, linger_s=0.0) as bridge:
        one = driver(bridge.address)
        one.open(None)
        while not bridge.n_receivers:
            time.sleep(0.001)
        for first in range(0, 60_000, 50):
            bridge.send(packet(first))
        counters = []
        while not counters or counters[-1] < 59_999:
            for came in one.receive(5.0):
                assert np.array_equal(came.data[:, 0], came.counters)
                counters += came.counters.tolist()
        one.close()
    assert np.all(np.diff(counters) > 0)
    assert len(counters) + bridge.dropped == 60_000


def test_when_it_is_closed_everybody_gets_the_rest_and_the_end() -> None:
    links = []
    with Bridge(INFO, LOCAL, linger_s=0.2) as bridge:
        for n in range(3):
            links.append(driver(bridge.address))
            links[-1].open(None)
            while bridge.n_receivers <= n:
                time.sleep(0.001)
        bridge.send(packet())
        bridge.marker(3)
    for one in links:
        (came, last) = one.receive(5.0)
        assert (len(came.data), last.markers[0].code) == (50, 3)
        with pytest.raises(Ended, match="the sender ended the stream"):
            one.receive(5.0)
        one.close()


def test_a_long_packet_is_sent_in_parts() -> None:
    with Bridge(INFO, LOCAL, linger_s=0.0) as bridge:
        bridge.send(packet(0, 3000), stamp=5.0)
        one = driver(bridge.address)
        one.open(resume=0)
        packets = []
        while sum(len(p.data) for p in packets) < 3000:
            packets += one.receive(5.0)
        one.close()
    assert len(packets) > 1
    assert np.array_equal(np.concatenate([p.data for p in packets]), packet(0, 3000))
    taken = np.concatenate([p.stamps for p in packets])
    assert np.allclose(np.diff(taken), 1e-3)


@pytest.mark.parametrize(
    ("samples", "counter", "says"),
    [
        (packet()[:, :5], None, r"expected samples x 306 channels, got shape \(50, 5\)"),
        (packet()[0], None, "expected samples x 306 channels"),
        (packet().astype(np.float32), None, "expected int32, got float32"),
        (packet(), -1, "counter: expected 0 to"),
        (packet(), 1 << 16, "expected 0 to 65535, got 65536"),
    ],
)
def test_what_was_not_announced_is_refused(
    samples: np.ndarray, counter: int | None, says: str
) -> None:
    with (
        Bridge(INFO, LOCAL, counter_bits=16, linger_s=0.0) as bridge,
        pytest.raises(InputError, match=says),
    ):
        bridge.send(samples, counter)


def test_an_address_in_use_is_named(tmp_path: Path) -> None:
    with (
        Bridge(INFO, LOCAL, linger_s=0.0) as bridge,
        pytest.raises(OutputError, match="cannot be listened on: Address already in use"),
    ):
        Bridge(INFO, bridge.address)
    address = f"unix:{tmp_path / 'socket'}"
    with Bridge(INFO, address, linger_s=0.0), pytest.raises(OutputError, match="in use"):
        Bridge(INFO, address)
    file = tmp_path / "file"
    file.write_text("mine")
    with pytest.raises(OutputError, match="in use"):
        Bridge(INFO, f"unix:{file}")
    assert file.read_text() == "mine"


def test_the_socket_that_a_dead_process_left_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    assert path.exists()
    with Bridge(INFO, f"unix:{path}", linger_s=0.0) as bridge:
        one = driver(bridge.address)
        assert one.open(None).n_channels == 306
        one.close()
    assert not path.exists()


@pytest.mark.parametrize("address", ["127.0.0.1:5", "tcp:5", "unix:", "udp:a:5", "tcp:a:b"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(InputError, match="expected tcp:HOST:PORT or unix:PATH"):
        Bridge(INFO, address)


def test_only_so_many_may_connect() -> None:
    with Bridge(INFO, LOCAL, linger_s=0.0) as bridge:
        first = connected(bridge)
        others = [connected(bridge, begin=False) for _ in range(8)]
        first.settimeout(5.0)
        while first.recv(1 << 16):
            continue  # the HELLO, and then it is shown out
        for one in (first, *others):
            one.close()
