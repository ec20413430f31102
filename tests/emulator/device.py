"""A whole device without a GPU: stand-in arrays, a budget that can run out, failure on demand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import brainforge.device
from brainforge.errors import DeviceError
from tests.emulator import strict
from tests.emulator.mirror import mirror_device


class FakeDevice:
    """Counts what is copied to it; fails at a given copy."""

    def __init__(
        self, budget: int, fail_at: int | None, memory: bool, put: Callable[[Any], Any]
    ) -> None:
        self.budget = budget
        self.copies = self.copied_bytes = 0
        self._fail_at, self._memory, self._put = fail_at, memory, put

    def put(self, array: Any) -> Any:
        if self.copies == self._fail_at:
            raise DeviceError("the fake device gave up", memory=self._memory)
        self.copies += 1
        self.copied_bytes += array.nbytes
        return self._put(array)

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
    put: Callable[[Any], Any] = strict.put,
) -> Iterator[list[FakeDevice]]:
    """Let backend cuda open fake devices; the first ``fails`` of them fail at a copy."""
    opened: list[FakeDevice] = []

    def open_device(backend: Any) -> Any:
        if backend.name != "cuda":
            return brainforge.device.Host()
        failing = fail_at if len(opened) < fails else None
        opened.append(FakeDevice(backend.memory or budget, failing, memory, put))
        return opened[-1]

    for module in ("brainforge.device", "brainforge.pipeline.first_pass"):
        monkeypatch.setattr(f"{module}.open_device", open_device, raising=False)
    with strict.fake_device(), mirror_device():
        yield opened
