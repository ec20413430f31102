"""The suite of live sources, on the FieldTrip buffer; the device's count is in a channel."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, ClassVar

import numpy as np

from brainforge.acquisition.driver import Driver
from brainforge.acquisition.fieldtrip.client import Client
from brainforge.acquisition.fieldtrip.driver import driver
from brainforge.testing.live_source_suite import F32, LiveSourceSuite
from tests.acquisition.fieldtrip.conftest import server_process


class Device:
    """A writer, and the buffer it writes into, in a process of its own."""

    def __init__(self, suite: LiveSourceSuite, stack: ExitStack) -> None:
        self._suite, self._stack = suite, stack
        self._inner = ExitStack()
        self._port = 0
        self.restart()

    def driver(self) -> Driver:
        return driver(f"127.0.0.1:{self._port}", kind="mag")

    def send(self, samples: F32, counter: int) -> None:
        self._writer.put_data(np.ascontiguousarray(samples))

    def cut(self) -> None:
        self._process.kill()
        self._inner.close()

    def restart(self, names: tuple[str, ...] | None = None, dtype: str = "float32") -> None:
        names = names or self._suite.names
        self._inner = self._stack.enter_context(ExitStack())
        self._process, host, self._port = self._inner.enter_context(
            server_process("--port", str(self._port))
        )
        self._writer = self._inner.enter_context(Client(host, self._port))
        self._writer.put_header(len(names), self._suite.sfreq, dtype, names)


class TestFieldTrip(LiveSourceSuite):
    options: ClassVar[dict[str, Any]] = {"counter_channel": "COUNTER"}

    @contextmanager
    def device(self) -> Iterator[Device]:
        with ExitStack() as stack:
            yield Device(self, stack)
