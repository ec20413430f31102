"""A whole device without a GPU: strict arrays, a budget that can run out, a failure on demand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import brainforge.device
from brainforge.errors import DeviceError
from tests.emulator.strict import fake_device, put


class FakeDevice:
    """Counts what is copied to it; fails at a given copy."""

    def __init__(self, budget: int, fail_at: int | None, memory: bool) -> None:
        self.budget = budget
        self.copies = self.copied_bytes = 0
        self._fail_at, self._memory = fail_at, memory

    def put(self, array: Any) -> Any:
        if self.copies == self._fail_at:
            raise DeviceError("the fake device gave up", memory=self._memory)
        self.copies += 1
        self.copied_bytes += array.nbytes
        return put(array)

    def release(self) -> None:
        pass


@contextmanager
def as_cuda(
    monkeypatch: pytest.MonkeyPatch,
    *,
    budget: int = 1 << 30,
    fail_at: int | None = None,
    memory: bool = False,
    fails: int = 1,
) -> Iterator[list[FakeDevice]]:
    """Let backend cuda open fake devices; the first ``fails`` of them fail at a copy."""
    opened: list[FakeDevice] = []

    def open_device(backend: Any) -> Any:
        if backend.name != "cuda":
            return brainforge.device.Host()
        failing = fail_at if len(opened) < fails else None
        opened.append(FakeDevice(backend.memory or budget, failing, memory))
        return opened[-1]

    for module in ("brainforge.device", "brainforge.pipeline.first_pass"):
        monkeypatch.setattr(f"{module}.open_device", open_device, raising=False)
    with fake_device():
        yield opened
