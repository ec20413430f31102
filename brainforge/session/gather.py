"""Gather: many small pieces to fewer larger ones, for whom a second more does not matter."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from brainforge.block import RawBlock


class Gather:
    """Joins pieces that follow each other.

    Parameters
    ----------
    size : int
        Samples of a piece that is passed on, unless a gap or the end comes before.
    then : callable
        Takes the pieces.
    """

    def __init__(self, size: int, then: Callable[[RawBlock], None]) -> None:
        self._size, self._then = size, then
        self._parts: list[RawBlock] = []
        self._n = 0

    def put(self, raw: RawBlock) -> None:
        """Take the next piece; it must stay as it is."""
        if self._parts and raw.start != self._parts[-1].stop:
            self.flush()
        self._parts.append(raw)
        self._n += raw.data.shape[1]
        if self._n >= self._size:
            self.flush()

    def flush(self) -> None:
        """Pass on what has been gathered."""
        if not self._parts:
            return
        parts, self._parts, self._n = self._parts, [], 0
        first = parts[0]
        if len(parts) > 1:
            data = np.concatenate([p.data for p in parts], axis=1)
            first = RawBlock(data, first.info, first.start)
        self._then(first)
