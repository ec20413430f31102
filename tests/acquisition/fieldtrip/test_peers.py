"""FieldTrip-buffer clients and a server that were not written here.

They are FieldTrip's own Python client as mne-realtime and EEGsynth ship it, and EEGsynth's server.
EEGsynth is not among the requirements: it brings twenty packages that this needs none of, and lays
folders named ``lib`` and ``module`` beside all others. Its files alone do, in a folder of their
own:
``pip install --no-deps --target FOLDER eegsynth``, then ``PYTHONPATH=FOLDER``.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from brainforge.acquisition.fieldtrip.client import Client
from brainforge.acquisition.fieldtrip.driver import driver
from brainforge.acquisition.fieldtrip.events import Event
from brainforge.acquisition.live_source import LiveSource, Piece
from tests.acquisition.fieldtrip.conftest import NAMES, server_process, signal

FLOAT32 = 9

SERVE = """
import sys
sys.path.insert(0, sys.argv[1])
from lib import FieldTrip
server = FieldTrip.Server()
server.timeout = 0.05
server.connect("127.0.0.1", 0)
key = next(iter(server.sel.get_map().values()))
print("port", key.fileobj.getsockname()[1], flush=True)
while True:
    server.loop()
"""


def folder_of(package: str) -> Path:
    try:
        return Path(str(distribution(package).locate_file("")))
    except PackageNotFoundError:
        pytest.skip(
            f"no {package} here: pip install --no-deps --target FOLDER {package}, PYTHONPATH=FOLDER"
        )


def load(package: str, path: str) -> ModuleType:
    folder = folder_of(package)
    spec = importlib.util.spec_from_file_location("peer_fieldtrip", folder / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    before = list(sys.path)
    sys.path.insert(0, str(folder))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path[:] = before
    return module


@pytest.fixture(params=["mne-realtime", "eegsynth"])
def peer(request: pytest.FixtureRequest) -> ModuleType:
    path = {"mne-realtime": "mne_realtime/externals/FieldTrip.py", "eegsynth": "lib/FieldTrip.py"}
    return load(request.param, path[request.param])


@pytest.fixture
def connect(peer: ModuleType) -> Iterator[Any]:
    clients = []

    def start(host: str, port: int) -> Any:
        client = peer.Client()
        client.connect(host, port)
        clients.append(client)
        return client

    yield start
    for client in clients:
        client.disconnect()


def test_their_client_reads_from_our_server(connect) -> None:
    data = signal(300)
    with server_process("--port", "0") as (_, host, port), Client(host, port) as writer:
        reader = connect(host, port)
        assert reader.getHeader() is None
        writer.put_header(4, 1000.0, "float32", NAMES)
        writer.put_data(data[:100])
        header = reader.getHeader()
        assert (header.nChannels, header.nSamples, header.fSample) == (4, 100, 1000.0)
        assert tuple(header.labels) == NAMES
        assert tuple(reader.wait(99, 100, 500)) == (100, 0)
        writer.put_data(data[100:])
        writer.put_events([Event.make("STI101", 5, 120), Event.make("Button", "left", 130)])
        assert tuple(reader.poll()) == (300, 2)
        assert np.array_equal(reader.getData([40, 299]), data[40:])
        assert np.array_equal(reader.getData(), data)
        assert reader.getData([290, 300]) is None
        events = reader.getEvents([0, 1])
        assert [e.sample for e in events] == [120, 130]
        assert events[0].value[0] == 5
        value = events[1].value
        assert (value.decode() if isinstance(value, bytes) else value) == "left"


class Old(np.ndarray):
    """An array with the method that NumPy has dropped and their client still calls."""

    tostring = np.ndarray.tobytes


def test_our_driver_hears_their_client() -> None:
    module = load("eegsynth", "lib/FieldTrip.py")
    data = signal(400)
    with server_process("--port", "0") as (_, host, port):
        writer = module.Client()
        writer.connect(host, port)
        writer.putHeader(4, 1000.0, FLOAT32, labels=list(NAMES))
        source = LiveSource(driver(f"{host}:{port}"))
        with source:
            assert source.info.names == NAMES
            for k in range(0, 400, 50):
                writer.putData(data[k : k + 50].view(Old))
            got: list[np.ndarray] = []
            for item in source.stream():
                assert isinstance(item, Piece)
                got.append(item.block.data.T)
                if sum(map(len, got)) == 400:
                    source.stop()
        writer.disconnect()
    assert np.array_equal(np.concatenate(got), data)


def test_our_driver_reads_from_their_server() -> None:
    folder = folder_of("eegsynth")
    data = signal(2000)
    command = [sys.executable, "-c", SERVE, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            port = next(int(w.split()[1]) for w in process.stdout if w.startswith("port"))
            with Client("127.0.0.1", port) as writer:
                writer.put_header(4, 1000.0, "float32")  # it keeps no names
                source = LiveSource(driver(f"127.0.0.1:{port},kind=mag"))
                with source:
                    got: list[np.ndarray] = []
                    for item in _fed(source, writer, data):
                        if isinstance(item, Piece):
                            got.append(item.block.data.T)
                        if sum(map(len, got)) == len(data):
                            source.stop()
        finally:
            process.terminate()
            process.wait(10)
    assert np.array_equal(np.concatenate(got), data)


def _fed(source: LiveSource, writer: Client, data: np.ndarray) -> Iterator[Any]:
    """Put 50 samples whenever the stream has handed out those before."""
    writer.put_data(data[:50])
    at = 50
    for item in source.stream():
        yield item
        if isinstance(item, Piece) and item.block.stop == at < len(data):
            writer.put_data(data[at : at + 50])
            at += 50
