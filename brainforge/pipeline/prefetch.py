"""Read one block ahead in a thread, so that decompression and filtering overlap."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")


class Prefetch(Iterable[Item]):
    """Iterate with one item read ahead; an error of the reader is raised at its place.

    Attributes
    ----------
    waited_s : float
        Seconds the consumer stood still for the reader.
    """

    def __init__(self, items: Iterable[Item]) -> None:
        self._items = iter(items)
        self.waited_s = 0.0

    def __iter__(self) -> Iterator[Item]:
        with ThreadPoolExecutor(1, thread_name_prefix="prefetch") as pool:
            ahead = pool.submit(next, self._items, None)
            while True:
                begun = time.perf_counter()
                item = ahead.result()
                self.waited_s += time.perf_counter() - begun
                if item is None:
                    return
                ahead = pool.submit(next, self._items, None)
                yield item
