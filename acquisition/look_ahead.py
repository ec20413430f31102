"""LookAhead: makes things on a thread of its own before they are wanted."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Exhausted(Exception):
    """There is nothing more."""


class LookAhead(Generic[Item]):
    """Runs an iterator ahead of its user, who never waits for an item without wanting to.

    Parameters
    ----------
    items : iterator
        What it raises is raised by `peek`, after the items before it.
    depth : int
        How many are made ahead at most.
    """

    def __init__(self, items: Iterator[Item], depth: int) -> None:
        self._items, self._depth = items, depth
        self._made: deque[Item] = deque()
        self._end: BaseException | None = None
        self._closed = self._rung = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="look-ahead", daemon=True)
        self._thread.start()

    def peek(self) -> Item | None:
        """Return the next item and leave it; None where it is not ready yet.

        Raises
        ------
        Exhausted
            The iterator has come to its end.
        """
        with self._changed:
            if self._made:
                return self._made[0]
            if self._end is not None:
                raise self._end
            return None

    def drop(self) -> None:
        """Let go of the item that `peek` has shown."""
        with self._changed:
            self._made.popleft()
            self._changed.notify_all()

    def wait(self, seconds: float) -> bool:
        """Wait until something has changed, at most so long; return whether it was `ring`."""
        with self._changed:
            if not self._rung:
                self._changed.wait(seconds)
            rung, self._rung = self._rung, False
            return rung

    def ring(self) -> None:
        """Let a `wait` return at once; from any thread."""
        with self._changed:
            self._rung = True
            self._changed.notify_all()

    def close(self) -> None:
        """Stop making; waits for the item that is being made."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        end: BaseException = Exhausted()
        try:
            for item in self._items:
                with self._changed:
                    self._made.append(item)
                    self._changed.notify_all()
                    while len(self._made) >= self._depth and not self._closed:
                        self._changed.wait()
                    if self._closed:
                        return
        except BaseException as error:
            end = error
        with self._changed:
            self._end = end
            self._changed.notify_all()
