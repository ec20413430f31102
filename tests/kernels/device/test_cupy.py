"""CuPy's own arrays, over the host's memory: shapes, steps and refusals need no GPU."""

from __future__ import annotations

import numpy as np
import pytest

from brainforge.errors import KernelInputError
from brainforge.kernels.device.launch import launch
from brainforge.kernels.namespace import contiguous, dtype_name, is_device, namespace

cupy = pytest.importorskip("cupy", reason="CuPy is not installed")
pytest.importorskip("array_api_compat")


@pytest.fixture
def there():
    """A CuPy array that nothing may read: its pointer is one of the host."""
    host = np.zeros((4, 6), np.float32)
    memory = cupy.cuda.UnownedMemory(host.ctypes.data, host.nbytes, host, 0)
    return cupy.ndarray(host.shape, host.dtype, cupy.cuda.MemoryPointer(memory, 0))


def test_is_known_as_what_it_is(there):
    xp = namespace(there)
    assert is_device(there)
    assert xp.__name__ == "array_api_compat.cupy"
    assert dtype_name(there) == "float32"
    assert there.dtype == xp.float32
    assert cupy.cuda.Device(there.device) == there.device


def test_what_is_in_order_is_not_copied(there):
    assert contiguous(there) is there
    assert contiguous(there[1:]).data.ptr == there.data.ptr + 24


def test_flattening_alone_would_keep_steps(there):
    """Why `contiguous` asks for the order of the memory and not only for the shape."""
    xp, every_other = namespace(there), there[:, ::2]
    assert not every_other.flags.c_contiguous
    assert xp.reshape(every_other, (-1,)).strides == (8,)


@pytest.mark.parametrize("cut", [np.s_[:, ::2], np.s_[::-1], np.s_[:, 1:]])
def test_memory_with_steps_is_refused(there, cut):
    with pytest.raises(KernelInputError, match="argument 0: expected a C-contiguous array"):
        launch("event_sums", "add_stretches", (1,), (1,), (there[cut],), like=there)


def test_an_empty_launch_needs_no_device(there):
    launch("event_sums", "add_stretches", (0,), (1,), (there, np.int32(1)), like=there)
