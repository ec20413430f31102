"""What is known of a device's memory without a device: whose errors are whose, who shares what."""

from __future__ import annotations

import builtins
from operator import attrgetter
from types import SimpleNamespace

import pytest

from brainforge.errors import DeviceError
from brainforge.kernels.device import memory, scratch


def _error(name, module, text=""):
    return type(name, (RuntimeError,), {"__module__": module})(text)


@pytest.mark.parametrize(
    "error, is_memory",
    [
        (_error("OutOfMemoryError", "cupy.cuda.memory"), True),
        (_error("CUDARuntimeError", "cupy_backends.cuda.api.runtime",
                "cudaErrorMemoryAllocation: out of memory"), True),
        (_error("CuFFTError", "cupy.cuda.cufft", "CUFFT_ALLOC_FAILED"), True),
        (_error("CUDARuntimeError", "cupy_backends.cuda.api.runtime",
                "cudaErrorLaunchFailure: unspecified launch failure"), False),
        (DeviceError("gone"), False),
    ],
)  # fmt: skip
def test_errors_of_the_device_are_known(error, is_memory):
    known = memory.device_error(error)
    assert known is not None
    assert known.memory is is_memory


def test_other_errors_are_not_the_devices():
    assert memory.device_error(ValueError("shape")) is None
    assert memory.device_error(MemoryError("of the host")) is None


class _Pool:
    limits: tuple[int, ...] = ()

    def get_default_memory_pool(self):
        return self

    def set_limit(self, size):
        self.limits = (*self.limits, size)


def test_open_sessions_share_the_pool():
    pool, first, second = _Pool(), object(), object()
    for session, budget in ((first, 100), (second, 50), (first, 0), (second, 0)):
        memory._share(pool, session, budget)
    assert pool.limits == (100, 150, 50, 0)


def test_threads_have_to_share_the_default_stream():
    memory.check_stream(0)
    for other in (2, 0x7F00DEAD):  # 2: one for each thread
        with pytest.raises(DeviceError, match="not the default one"):
            memory.check_stream(other)


def test_a_buffer_is_given_back_after_what_is_on_its_way():
    slot, waited = memory._Slot(), []
    slot.memory, slot.sent = bytearray(8), SimpleNamespace(synchronize=lambda: waited.append(1))
    slot.empty()
    assert waited == [1]
    assert slot.memory is slot.sent is None
    slot.empty()


def test_a_folder_that_cannot_be_written_is_said(monkeypatch):
    """CuPy makes its folder of compiled kernels when it is imported."""
    plain = builtins.__import__

    def no_cupy(name, *args, **kwargs):
        if name == "cupy":
            raise PermissionError(13, "Permission denied", "/home/nobody")
        return plain(name, *args, **kwargs)

    monkeypatch.setattr(memory, "find_spec", lambda _: True)
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda _: None)
    monkeypatch.setattr(builtins, "__import__", no_cupy)
    facts = memory.describe()
    assert not facts["available"]
    assert "CUPY_CACHE_DIR" in facts["why"]


def test_cupy_has_what_is_called():
    """Needs no GPU: names, and arguments where CuPy declares them."""
    cupy = pytest.importorskip("cupy")
    for path in (
        "cuda.Device", "cuda.runtime.memGetInfo", "cuda.is_available",
        "cuda.alloc_pinned_memory", "cuda.get_current_stream", "cuda.Stream.record",
        "cuda.Event.synchronize", "cuda.memory.OutOfMemoryError", "cuda.MemoryPool.malloc",
        "cuda.MemoryPool.set_limit", "cuda.MemoryPool.free_all_blocks", "get_default_memory_pool",
        "cuda.PinnedMemoryPool.free_all_blocks", "get_default_pinned_memory_pool", "ndarray.set",
        "cuda.PinnedMemoryPointer.size", "fft.config.clear_plan_cache", "RawModule.get_function",
        "cuda.runtime.driverGetVersion", "cuda.runtime.runtimeGetVersion",
        "cuda.runtime.getDeviceCount", "cuda.runtime.getDeviceProperties",
        "cuda.runtime.CUDARuntimeError", "ndarray.get", "ndarray.flags", "ndarray.device",
    ):  # fmt: skip
        attrgetter(path)(cupy)
    for error in (cupy.cuda.memory.OutOfMemoryError, cupy.cuda.runtime.CUDARuntimeError,
                  cupy.cuda.compiler.CompileException):  # fmt: skip
        assert error.__module__.partition(".")[0] in ("cupy", "cupy_backends")


def test_less_memory_gives_smaller_batches():
    try:
        scratch.set_scratch(1 << 22)
        assert scratch.batch(1 << 20) == 4
        assert scratch.batch(1 << 30) == 1
        scratch.set_scratch(1 << 40)
        assert scratch.batch(1 << 20) == scratch.DEFAULT >> 20
    finally:
        scratch.set_scratch(scratch.DEFAULT)
