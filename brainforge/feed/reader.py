"""FeedReader: looks at the newest snapshots, and counts those it has missed."""

from __future__ import annotations

import json
import mmap
import os
import struct
from pathlib import Path

from brainforge.errors import InputError
from brainforge.feed.snapshot import ALIGN, FRAME, HEADER, MAGIC, Snapshot, unpack

#: a slot may be rewritten while it is copied; then the other one is newer
ATTEMPTS = 8


class FeedReader:
    """One watcher of a feed.

    Parameters
    ----------
    path : Path

    Raises
    ------
    InputError
        There is no feed (yet).
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with open(path, "rb") as file:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
                self._inode = os.fstat(file.fileno()).st_ino
            if self._map[: len(MAGIC)] != MAGIC:
                raise ValueError("another file")
        except (OSError, ValueError) as error:
            raise InputError(where=str(path), expected="a feed", got=str(error)) from error
        start = len(MAGIC) + 8
        try:
            (length,) = struct.unpack_from("<Q", self._map, len(MAGIC))
            if start + length > HEADER:
                raise ValueError("its directory is too long")
            self._places = json.loads(self._map[start : start + length])
        except (ValueError, struct.error) as error:
            self._map.close()
            raise InputError(where=str(path), expected="a feed", got="a damaged one") from error
        self._seen = dict.fromkeys(self._places, 0)
        self._last: dict[str, Snapshot] = {}

    @property
    def topics(self) -> tuple[str, ...]:
        """The topics there are."""
        return tuple(self._places)

    @property
    def replaced(self) -> bool:
        """Whether a process that took over has made another feed under this name."""
        try:
            return os.stat(self.path).st_ino != self._inode
        except OSError:
            return True

    def latest(self, topic: str, *, fresh: bool = False) -> Snapshot | None:
        """Return the newest snapshot of a topic; None where there is none.

        One that was returned before is the same object again: looking often costs little.

        Parameters
        ----------
        fresh : bool
            Return None where it is the one that was returned last.
        """
        at, room = self._places[topic]
        for _ in range(ATTEMPTS):
            (number,) = struct.unpack_from("<Q", self._map, at)
            seen = self._seen[topic]
            if number == 0 or (fresh and number == seen):
                return None
            if topic in self._last and number == seen:
                return self._last[topic]
            slot = at + ALIGN + (number % 2) * room
            before, length = FRAME.unpack_from(self._map, slot)
            if before != number or length > room:
                continue
            data = self._map[slot + FRAME.size : slot + FRAME.size + length]
            if FRAME.unpack_from(self._map, slot)[0] != number:
                continue
            self._seen[topic] = number
            dropped = max(number - seen - 1, 0) if seen else 0
            self._last[topic] = unpack(data, topic, number, dropped)
            return self._last[topic]
        return None

    def close(self) -> None:
        """Let go of the file."""
        self._map.close()
