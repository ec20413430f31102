"""One thread a kernel, parallelism outside: our own thread pool over independent pieces."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, TypeVar

Item = TypeVar("Item")
Out = TypeVar("Out")


@lru_cache(maxsize=8)
def _pool(n_threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(n_threads, thread_name_prefix="kernel")


_here = threading.local()


@contextmanager
def on_one_thread() -> Iterator[None]:
    """Keep what this thread calls from using others, where it asks `may_use_others`."""
    before = getattr(_here, "alone", False)
    _here.alone = True
    try:
        yield
    finally:
        _here.alone = before


def may_use_others() -> bool:
    """Return whether this thread's work may be spread over others."""
    return not getattr(_here, "alone", False)


def parallel_map(
    function: Callable[[Item], Out], items: Iterable[Item], n_threads: int = 1
) -> list[Out]:
    """Apply ``function`` to every item on ``n_threads`` threads; results in order.

    The functions must release the GIL (Numba ``nogil``, NumPy, BLAS). The first error raised
    is raised here. Must not be called from inside such a function.
    """
    work = list(items)
    if n_threads <= 1 or len(work) <= 1:
        return [function(item) for item in work]
    return list(_pool(n_threads).map(function, work))


def slices(n: int, parts: int, multiple: int = 1) -> list[slice]:
    """Cut range(n) into at most ``parts`` contiguous slices, cut at multiples of ``multiple``."""
    step = -(-n // max(parts, 1))
    step = max(-(-step // multiple) * multiple, multiple)
    return [slice(a, min(a + step, n)) for a in range(0, n, step)]


def single_threaded_blas() -> Any:
    """Return a context manager that holds BLAS to one thread inside it."""
    from threadpoolctl import threadpool_limits

    return threadpool_limits(limits=1, user_api="blas")
