"""Servers and signals for the tests of the FieldTrip buffer."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from brainforge.acquisition.fieldtrip.client import Client
from brainforge.acquisition.fieldtrip.server import Server

NAMES = ("MEG0111", "MEG0112", "MEG0113", "STI101")


def signal(n: int, n_channels: int = 4, seed: int = 7) -> npt.NDArray[np.float32]:
    """Return samples in tesla, axes (sample, channel); no two are the same."""
    rng = np.random.default_rng(seed)
    return (1e-12 * rng.standard_normal((n, n_channels))).astype(np.float32)


@dataclass
class Buffer:
    """A server in a thread of this process, and what it told."""

    server: Server
    said: list[str]
    stack: ExitStack = field(repr=False)

    @property
    def address(self) -> str:
        host, port = self.server.address
        return f"{host}:{port}"

    def client(self, **options: Any) -> Client:
        return self.stack.enter_context(Client(*self.server.address, **options))

    def writer(self, n_channels: int = 4, sfreq: float = 1000.0, dtype: str = "float32") -> Client:
        client = self.client()
        client.put_header(n_channels, sfreq, dtype, NAMES if n_channels == 4 else ())
        return client


@pytest.fixture
def buffer() -> Iterator[Callable[..., Buffer]]:
    """Return what starts a server with given options."""
    with ExitStack() as stack:

        def start(**options: Any) -> Buffer:
            said: list[str] = []
            server = stack.enter_context(Server(**{"port": 0, "tell": said.append, **options}))
            return Buffer(server, said, stack)

        yield start


@contextmanager
def server_process(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str, int]]:
    """Run a server as a process of its own; gives it with its host and port."""
    command = [sys.executable, "-m", "brainforge.acquisition.fieldtrip.server", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            host, port = process.stdout.readline().split()[-1].rsplit(":", 1)
            yield process, host, int(port)
        finally:
            process.terminate()
            process.wait(10)
