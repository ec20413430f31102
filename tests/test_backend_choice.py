"""A CUDA device that cannot be used is not used, and auto says why."""

from __future__ import annotations

import pytest

from brainforge import device
from brainforge.errors import DeviceError, InputError


class _Memory:
    released = 0

    def __init__(self, error):
        self._error = error

    def put(self, array):
        raise self._error

    def release(self):
        _Memory.released += 1


@pytest.mark.parametrize(
    "error, words",
    [
        (DeviceError("the driver is gone"), "the driver is gone"),
        (PermissionError(13, "Permission denied"), "CUPY_CACHE_DIR"),
    ],
)
def test_auto_falls_back_with_the_reason(monkeypatch, error, words):
    monkeypatch.setattr(device, "describe", lambda: {"available": True, "why": ""})
    monkeypatch.setattr(device, "CudaMemory", lambda: _Memory(error))
    before = _Memory.released
    backend = device.choose("auto")
    assert backend.name == "cpu"
    assert words in backend.why
    assert _Memory.released == before + 1, "what was held for the check is given back"
    with pytest.raises(InputError, match=words):
        device.choose("cuda")


def test_mistakes_of_ours_are_not_hidden(monkeypatch):
    monkeypatch.setattr(device, "describe", lambda: {"available": True, "why": ""})
    monkeypatch.setattr(device, "CudaMemory", lambda: _Memory(ZeroDivisionError("ours")))
    with pytest.raises(ZeroDivisionError):
        device.choose("auto")
