"""Working memory is kept for each thread and each use."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from brainforge.kernels.scratch import ALIGNMENT, scratch


def test_the_same_use_gets_the_same_aligned_memory():
    first = scratch("a test", (3, 50), np.float32)
    first[:] = 1
    assert first.ctypes.data % ALIGNMENT == 0
    second = scratch("a test", (2, 10), np.complex64)
    assert second.shape == (2, 10)
    assert np.shares_memory(first, second)
    assert not np.shares_memory(first, scratch("another test", (3, 50), np.float32))
    assert scratch("a test", (900,), np.float64).nbytes == 7200


def test_threads_do_not_share():
    mine = scratch("a test", (8,), np.float32)
    with ThreadPoolExecutor(1) as pool:
        theirs = pool.submit(scratch, "a test", (8,), np.float32).result()
    assert not np.shares_memory(mine, theirs)
