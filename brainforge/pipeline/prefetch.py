"""Read blocks ahead in a thread, so that decompression and filtering overlap."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from typing import TypeVar

from brainforge.kernels.parallel import on_one_thread

Item = TypeVar("Item")
#: items that are read while another is used: the reader may have to wait for its turn
AHEAD = 2


class Prefetch(Iterable[Item]):
    """Iterate with a few items read ahead; an error of the reader is raised at its place.

    Parameters
    ----------
    items : iterable
        Read on one thread: what runs beside it needs the others.
    gate : context manager | None
        Passed by each reading.

    Attributes
    ----------
    waited_s : float
        Seconds the consumer stood still for the reader.
    """

    def __init__(
        self, items: Iterable[Item], gate: AbstractContextManager[None] | None = None
    ) -> None:
        self._items = iter(items)
        self._gate = gate or nullcontext()
        self.waited_s = 0.0

    def __iter__(self) -> Iterator[Item]:
        with ThreadPoolExecutor(1, thread_name_prefix="prefetch") as pool:
            ahead = deque(pool.submit(self._next) for _ in range(AHEAD))
            while True:
                begun = time.perf_counter()
                item = ahead.popleft().result()
                self.waited_s += time.perf_counter() - begun
                if item is None:
                    return
                ahead.append(pool.submit(self._next))
                yield item

    def _next(self) -> Item | None:
        with self._gate, on_one_thread():
            return next(self._items, None)
