"""FeedWriter: publishes snapshots. It never waits for anybody who reads."""

from __future__ import annotations

import json
import mmap
import os
import struct
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.errors import InputError
from brainforge.feed.snapshot import ALIGN, FRAME, HEADER, MAGIC, pack_head


class FeedWriter:
    """One process's feed: a file with two slots for every topic, written in turn.

    A reader takes the slot that was finished last while the other one is written.

    Parameters
    ----------
    path : Path
        Replaced where it exists, in one step.
    topics : mapping of str to int
        Largest size of a snapshot of each topic, in bytes.
    """

    def __init__(self, path: Path, topics: Mapping[str, int]) -> None:
        self.path = path
        at, places = HEADER, {}
        for topic, size in topics.items():
            room = -(-(size + 2 * FRAME.size) // ALIGN) * ALIGN
            places[topic] = [at, room]
            at += ALIGN + 2 * room
        directory = json.dumps(places).encode()
        if len(MAGIC) + 8 + len(directory) > HEADER:
            raise InputError(where="feed", expected="fewer topics", got=str(len(topics)))
        partial = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            with open(partial, "xb+") as file:
                os.posix_fallocate(file.fileno(), 0, at)
                file.write(MAGIC + struct.pack("<Q", len(directory)) + directory)
                file.flush()
                self._map = mmap.mmap(file.fileno(), at)
            os.replace(partial, path)
        except OSError:
            partial.unlink(missing_ok=True)
            raise
        self._places = {topic: (a, room) for topic, (a, room) in places.items()}
        self._sequence = dict.fromkeys(topics, 0)

    def publish(
        self, topic: str, meta: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]] = {}
    ) -> int:
        """Replace a topic's snapshot; return its sequence number.

        Raises
        ------
        InputError
            An unknown topic, or more bytes than were announced.
        """
        if topic not in self._places:
            raise InputError(
                where="feed", expected=f"one of {', '.join(self._places)}", got=repr(topic)
            )
        head = pack_head(time.monotonic(), meta, arrays)
        size = len(head) + sum(a.nbytes for a in arrays.values())
        at, room = self._places[topic]
        if size + FRAME.size > room:
            raise InputError(
                where=f"feed topic {topic}", expected=f"{room} bytes at most", got=str(size)
            )
        number = self._sequence[topic] + 1
        slot = at + ALIGN + (number % 2) * room
        struct.pack_into("<Q", self._map, slot, 0)  # this slot is not to be read
        place = slot + FRAME.size
        self._map[place : place + len(head)] = head
        place += len(head)
        for array in arrays.values():
            flat = np.frombuffer(self._map, np.uint8, array.nbytes, place)
            flat.view(array.dtype).reshape(array.shape)[...] = array
            place += array.nbytes
        FRAME.pack_into(self._map, slot, number, size)
        struct.pack_into("<Q", self._map, at, number)
        self._sequence[topic] = number
        return number

    def close(self) -> None:
        """Let go of the file, which stays."""
        del self._map
