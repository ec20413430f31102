"""What is known of a device's memory without a device: whose errors are whose, who shares what."""

from __future__ import annotations

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


def test_less_memory_gives_smaller_batches():
    try:
        scratch.set_scratch(1 << 22)
        assert scratch.batch(1 << 20) == 4
        assert scratch.batch(1 << 30) == 1
        scratch.set_scratch(1 << 40)
        assert scratch.batch(1 << 20) == scratch.DEFAULT >> 20
    finally:
        scratch.set_scratch(scratch.DEFAULT)
