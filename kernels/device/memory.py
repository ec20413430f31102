"""Memory of a CUDA device: pinned buffers on the way in, a budget, and what its errors mean."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from importlib.util import find_spec
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.errors import DeviceError
from brainforge.kernels.device.scratch import set_scratch

#: share of the free memory that is taken where no budget is given
FREE_SHARE = 0.8
#: pinned buffers that take turns: one is filled while the other is on its way
_BUFFERS = 2
_MIB = 1 << 20


class CudaMemory:
    """The way of a session's counts to a CUDA device.

    Parameters
    ----------
    budget : int
        Bytes that the session may use; 0 for most of what is free.
    index : int
        Which device.

    Raises
    ------
    DeviceError
        The current stream is not the default one.
    """

    def __init__(self, budget: int = 0, index: int = 0) -> None:
        import cupy

        self._cupy, self._device = cupy, cupy.cuda.Device(index)
        with self._device:
            check_stream(cupy.cuda.get_current_stream().ptr)
            # what a session before this one has let go of is free too
            cupy.get_default_memory_pool().free_all_blocks()
            free = int(cupy.cuda.runtime.memGetInfo()[0])
            self.budget = min(budget or int(FREE_SHARE * free), free)
            _share(cupy, self, self.budget)
        # a few intermediate arrays at a time beside the recording
        set_scratch(self.budget // 16)
        self._slots: list[_Slot] = [_Slot() for _ in range(_BUFFERS)]
        self._turn = 0

    def put(self, array: npt.NDArray[Any]) -> Any:
        """Copy an array to the device through a pinned buffer; returns before it has arrived.

        The copy goes into the stream that later kernels use, so none of them can run early.
        """
        cupy = self._cupy
        if not array.size:
            return cupy.empty(array.shape, array.dtype)
        with self._device:
            slot = self._slots[self._turn]
            self._turn = (self._turn + 1) % _BUFFERS
            staged = slot.room(cupy, array)
            np.copyto(staged, array)
            out = cupy.empty(array.shape, array.dtype)
            stream = cupy.cuda.get_current_stream()
            out.set(staged, stream=stream)
            slot.sent = stream.record()
        return out

    def release(self) -> None:
        """Give back what the session has held."""
        with self._device:
            _share(self._cupy, self, 0)
            for slot in self._slots:
                slot.empty()
            # plans of transforms keep memory to work in
            self._cupy.fft.config.clear_plan_cache()
            self._cupy.get_default_memory_pool().free_all_blocks()
            self._cupy.get_default_pinned_memory_pool().free_all_blocks()


#: budgets of the sessions open in this process, by session: they share one memory pool
_budgets: dict[int, int] = {}
_sharing = Lock()


def _share(cupy: Any, session: CudaMemory, budget: int) -> None:
    """Let the pool hold what all open sessions may use together; a budget of 0 leaves."""
    with _sharing:
        _budgets.pop(id(session), None)
        if budget:
            _budgets[id(session)] = budget
        cupy.get_default_memory_pool().set_limit(size=sum(_budgets.values()))


def check_stream(pointer: int) -> None:
    """Raise DeviceError unless a stream is the default one, which orders what threads do.

    Samples are copied in one thread and filtered and summed in others. In streams of their own
    these would not wait for each other, and nothing would tell.
    """
    if pointer:
        raise DeviceError(
            "the current CUDA stream is not the default one (a `with` block of another stream, or "
            "CUPY_CUDA_PER_THREAD_DEFAULT_STREAM)"
        )


class _Slot:
    """A pinned buffer, and the event after which it may be filled again."""

    def __init__(self) -> None:
        self.memory: Any = None
        self.sent: Any = None

    def room(self, cupy: Any, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        if self.sent is not None:
            self.sent.synchronize()
        if self.memory is None or self.memory.size() < array.nbytes:
            self.memory = cupy.cuda.alloc_pinned_memory(array.nbytes)
        flat = np.frombuffer(self.memory, array.dtype, array.size)
        return flat.reshape(array.shape)

    def empty(self) -> None:
        """Wait for what is on its way, and give the buffer back."""
        if self.sent is not None:
            self.sent.synchronize()
        self.memory = self.sent = None


def device_error(error: BaseException) -> DeviceError | None:
    """Return what an error of the device's libraries means; None for any other error."""
    if isinstance(error, DeviceError):
        return error
    if type(error).__module__.partition(".")[0] not in ("cupy", "cupy_backends"):
        return None
    name = type(error).__name__
    memory = "OutOfMemory" in name or "cudaErrorMemoryAllocation" in str(error)
    memory = memory or "ALLOC_FAILED" in str(error)
    what = "ran out of memory" if memory else "failed"
    return DeviceError(f"the CUDA device {what} ({name}: {error})", memory=memory)


def describe() -> dict[str, Any]:
    """Return what there is of CUDA: versions, devices, memory; or why there is none."""
    if find_spec("cupy") is None:
        return _none("CuPy is not installed (the extras are cuda12 and cuda13)")
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        # said before CuPy is imported, which takes half a second
        return _none("there is no CUDA driver")
    try:
        import cupy
    except (ImportError, OSError) as error:
        # it makes its folder of compiled kernels when it is imported
        return _none(f"CuPy cannot be imported ({error}; CUPY_CACHE_DIR names its folder)")
    about: dict[str, Any] = {"cupy": cupy.__version__}
    try:
        if not cupy.cuda.is_available():
            return _none("CuPy finds no CUDA device", about)
        about["driver"] = cupy.cuda.runtime.driverGetVersion()
        about["runtime"] = cupy.cuda.runtime.runtimeGetVersion()
        found = [_device(cupy, index) for index in range(cupy.cuda.runtime.getDeviceCount())]
    except cupy.cuda.runtime.CUDARuntimeError as error:
        return _none(str(error), about)
    return {"available": True, "why": "", **about, "devices": found}


def _none(why: str, about: Mapping[str, Any] | None = None) -> dict[str, Any]:
    return {"available": False, "why": why, **(about or {}), "devices": []}


def _device(cupy: Any, index: int) -> dict[str, Any]:
    facts = cupy.cuda.runtime.getDeviceProperties(index)
    with cupy.cuda.Device(index):
        free, total = cupy.cuda.runtime.memGetInfo()
    return {
        "name": facts["name"].decode(),
        "compute_capability": f"{facts['major']}.{facts['minor']}",
        "free_mib": free // _MIB,
        "total_mib": total // _MIB,
    }
