"""Read a write-ahead log: its whole frames in their order, and what is missing between them.

The end of a log may be torn: a frame that was being written when the power went is no frame, and
nothing after it was acknowledged. In the middle a frame can only be missing where the disk has
lost it; what follows is still good, since each frame says where its samples belong. So such a
frame costs its own samples, which become a gap, and nothing is made up for them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from brainforge.acquisition.recorder.frame import Kind, Place, scan
from brainforge.acquisition.recorder.segments import segment_paths

FOLDER: Final = "wal"
#: unit in which a file is read whose disk refuses to give all of it
_PIECE: Final = 1 << 12


@dataclass(frozen=True)
class Found:
    """A frame of a log, and the file it lies in."""

    path: Path
    place: Place


class LogReader:
    """The frames of a log, to be iterated; use it in ``with``.

    Parameters
    ----------
    folder : Path
        Of the segments.
    recording : int
        As `frame.recording_number` gives it.
    after : int
        Frames up to this number are kept elsewhere and left out.
    generation : int
        Frames of earlier generations are left out.

    Attributes
    ----------
    frames : list of Found
        In the log's order.
    missing : list of (int, int)
        Numbers [first, last) that were lost between others.
    last : int
        Number of the last frame; ``after`` where there is none.
    """

    def __init__(self, folder: Path, recording: int, after: int = -1, generation: int = 0) -> None:
        found = [
            Found(path, place)
            for path in segment_paths(folder)
            for place in scan(_bytes_of(path), recording)
            if place.number > after and place.generation >= generation
        ]
        self.frames = _valid(found)
        numbers = [after, *(f.place.number for f in self.frames)]
        self.missing = [(a + 1, b) for a, b in pairwise(numbers) if b > a + 1]
        self.last = numbers[-1]
        self._open: tuple[Path, int] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._let_go()

    def __iter__(self) -> Iterator[tuple[Found, bytes]]:
        for found in self.frames:
            yield found, self.payload(found)

    def payload(self, found: Found) -> bytes:
        """Return what a frame holds."""
        if self._open is None or self._open[0] != found.path:
            self._let_go()
            self._open = (found.path, os.open(found.path, os.O_RDONLY))
        return os.pread(self._open[1], found.place.length, found.place.offset)

    def _let_go(self) -> None:
        if self._open is not None:
            os.close(self._open[1])
            self._open = None


def _valid(found: list[Found]) -> list[Found]:
    """Return the frames that count, in order.

    Of a number that was written twice the first is taken: a frame is written again, byte by byte
    the same, where its segment is suspect. A process that takes over goes on behind the last
    frame that it has found; whatever an earlier one may have written from there on is void.
    """
    first: dict[int, int] = {}
    for f in found:
        of = f.place.generation
        first[of] = min(first.get(of, f.place.number), f.place.number)
    limits: dict[int, int | None] = {}
    limit: int | None = None
    for generation in sorted(first, reverse=True):
        limits[generation] = limit
        limit = first[generation] if limit is None else min(limit, first[generation])
    kept: dict[int, Found] = {}
    for f in found:
        end = limits[f.place.generation]
        if end is None or f.place.number < end:
            kept.setdefault(f.place.number, f)
    return [kept[n] for n in sorted(kept)]


def _bytes_of(path: Path) -> bytes:
    """Return a file's bytes; zeros where the disk does not give them."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""  # a living recorder has sealed its shard meanwhile
    except OSError:
        return _what_can_be_read(path)


def _what_can_be_read(path: Path) -> bytes:
    file = os.open(path, os.O_RDONLY)
    try:
        out = bytearray(os.fstat(file).st_size)
        for at in range(0, len(out), _PIECE):
            n = min(_PIECE, len(out) - at)
            try:
                out[at : at + n] = os.pread(file, n, at).ljust(n, b"\0")
            except OSError:
                out[at : at + n] = bytes(n)  # as a block that was never written: no frame
        return bytes(out)
    finally:
        os.close(file)


def document(payload: bytes) -> dict[str, Any]:
    """Return the JSON document of a frame."""
    out: dict[str, Any] = json.loads(payload)
    return out


__all__ = ["FOLDER", "Found", "Kind", "LogReader", "document"]
