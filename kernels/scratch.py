"""Working memory of a kernel, one for each thread, used again by its next call."""

from __future__ import annotations

import math
import threading
from typing import Any

import numpy as np
import numpy.typing as npt

#: bytes; 64 is a cache line and the widest vector
ALIGNMENT = 64

_local = threading.local()


def scratch(name: str, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Return an array of this thread for one use, its values left over from the last one.

    First touch of fresh memory costs as much as the arithmetic on it, so the memory is kept.
    Ask for tiles of a bounded size only, and never hand the array out of the kernel.

    Parameters
    ----------
    name : str
        Of the use: the same memory is returned for the same name.
    shape : tuple of int
    dtype : dtype
        Without objects.

    Returns
    -------
    array, C order, aligned to 64 bytes
    """
    kept: dict[str, npt.NDArray[np.uint8]] = _local.__dict__
    kind = np.dtype(dtype)
    n_bytes = math.prod(shape) * kind.itemsize
    memory = kept.get(name)
    if memory is None or len(memory) < n_bytes:
        fresh = np.empty(n_bytes + ALIGNMENT, dtype=np.uint8)
        skip = -fresh.ctypes.data % ALIGNMENT
        memory = kept[name] = fresh[skip : skip + n_bytes]
    return memory[:n_bytes].view(kind).reshape(shape)
