"""What every live source keeps to, over TCP and over a UNIX socket."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from brainforge.acquisition.bridge import Bridge
from brainforge.acquisition.tcp import FramedDriver, driver
from brainforge.info import Channel, Info
from brainforge.testing.live_source_suite import LiveSourceSuite
from tests.faults.relay import Relay


class BridgeDevice:
    """A Bridge behind a Relay: the relay is the cable that is pulled."""

    def __init__(self, names: tuple[str, ...], sfreq: float, address: str) -> None:
        self._names, self._sfreq, self._dtype = names, sfreq, "float32"
        self._bridge = self._make()
        self._relay = Relay(address, self._bridge.address)

    def _make(self) -> Bridge:
        channels = [Channel(name, "misc" if name == "COUNTER" else "mag") for name in self._names]
        info = Info(self._sfreq, tuple(channels))
        return Bridge(info, "tcp:127.0.0.1:0", self._dtype, keep_s=0.5, linger_s=0.0)

    def driver(self) -> FramedDriver:
        return driver(self._relay.address)

    def send(self, samples: np.ndarray, counter: int) -> None:
        self._bridge.send(samples, counter)

    def cut(self) -> None:
        self._relay.cut()

    def restart(self, names: tuple[str, ...] | None = None, dtype: str = "float32") -> None:
        if (names or self._names, dtype) != (self._names, self._dtype):
            self._names, self._dtype = names or self._names, dtype
            self._bridge.close()
            self._bridge = self._make()
            self._relay.target = self._bridge.address
        self._relay.mend()

    def close(self) -> None:
        self._relay.cut()
        self._bridge.close()


class TestTcp(LiveSourceSuite):
    @contextmanager
    def device(self) -> Iterator[BridgeDevice]:
        device = BridgeDevice(self.names, self.sfreq, "tcp:127.0.0.1:0")
        try:
            yield device
        finally:
            device.close()


class TestUnix(LiveSourceSuite):
    @contextmanager
    def device(self) -> Iterator[BridgeDevice]:
        with tempfile.TemporaryDirectory() as folder:
            device = BridgeDevice(self.names, self.sfreq, f"unix:{Path(folder) / 'socket'}")
            try:
                yield device
            finally:
                device.close()
