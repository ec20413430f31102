"""Segments: the files of the write-ahead log, each allocated before it is needed.

One segment holds frames of one shard's worth of samples. The next one is allocated and its name
made durable while the current one is filled, so that a full disk never stops a frame halfway. A
segment whose sync failed is never written again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from brainforge.acquisition.recorder.disk import Disk

SUFFIX = ".log"


@dataclass
class Segment:
    """One file of the log.

    Parameters
    ----------
    path : Path
    file : int
        Descriptor; -1 once it is closed.
    size : int
        Bytes allocated.
    shard : int
        The shard whose samples it holds.
    at : int
        Where the next frame goes.
    synced : bool
        Whether anything in it has been synced.
    """

    path: Path
    file: int = -1
    size: int = 0
    shard: int = -1
    at: int = 0
    synced: bool = False


def segment_paths(folder: Path) -> list[Path]:
    """Return the segments of a log in order."""
    return sorted(p for p in folder.glob(f"*{SUFFIX}") if p.stem.isdigit())


class Segments:
    """The segments of one recorder. Written by one thread; `drop` may be called by another.

    Parameters
    ----------
    folder : Path
    size : int
        Bytes to allocate for a segment.
    disk : Disk
    old : iterable of Segment
        Segments of recorders before this one, which are kept until their shards are sealed.
    """

    def __init__(self, folder: Path, size: int, disk: Disk, old: Iterable[Segment] = ()) -> None:
        self._folder, self._size, self._disk = folder, size, disk
        self._lock = Lock()
        self._full = list(old)
        names = [int(p.stem) for p in segment_paths(folder)]
        self._number = max(names, default=-1) + 1
        self._current: Segment | None = None
        self._next: Segment | None = None
        self._dirty: list[Segment] = []

    def prepare(self) -> None:
        """Allocate the next segment, where that has not been done."""
        if self._next is None:
            self._next = self._allocated(self._size)

    def _allocated(self, size: int) -> Segment:
        path = self._folder / f"{self._number:06d}{SUFFIX}"
        self._number += 1
        file = self._disk.create(path)
        try:
            self._disk.allocate(file, size)
            self._disk.sync(file)
            self._disk.sync_folder(self._folder)
        except OSError:
            self._disk.close(file)
            self._disk.remove(path)
            raise
        return Segment(path, file, size)

    def write(self, shard: int, frames: Sequence[Sequence[Any]]) -> None:
        """Write frames of one shard behind those before; they are durable after `sync`.

        Raises
        ------
        OSError
            The segment is suspect: call `abandon`, and write again all that was not synced.
        """
        buffers = [buffer for frame in frames for buffer in frame]
        need = sum(_n_bytes(b) for b in buffers)
        segment = self._current
        if segment is None or segment.shard != shard or segment.at + need > segment.size:
            segment = self._begin(shard, need)
        if segment not in self._dirty:
            self._dirty.append(segment)
        segment.at += self._disk.write(segment.file, buffers, segment.at)

    def _begin(self, shard: int, need: int) -> Segment:
        fresh = self._next
        if fresh is not None and fresh.size < need:
            fresh = None
        if fresh is None:
            fresh = self._allocated(max(self._size, need))
        else:
            self._next = None
        if self._current is not None:
            if self._current not in self._dirty:
                self._close(self._current)
            with self._lock:
                self._full.append(self._current)
        fresh.shard = shard
        self._current = fresh
        return fresh

    def sync(self) -> None:
        """Make durable all that was written.

        Raises
        ------
        OSError
            As of `write`.
        """
        while self._dirty:
            segment = self._dirty[0]
            self._disk.sync(segment.file)
            segment.synced = True
            del self._dirty[0]
            if segment is not self._current:
                self._close(segment)

    def abandon(self) -> None:
        """Never again write segments that may be damaged; those without a synced byte go."""
        suspects = [*self._dirty]
        if self._current is not None and self._current not in suspects:
            suspects.append(self._current)
        self._dirty, self._current = [], None
        for segment in suspects:
            self._close(segment)
            if segment.synced:
                with self._lock:
                    if segment not in self._full:
                        self._full.append(segment)
                continue
            with self._lock:
                if segment in self._full:
                    self._full.remove(segment)
            # it stays where even that fails; its frames are those that are written again
            with contextlib.suppress(OSError):
                self._disk.remove(segment.path)

    def _close(self, segment: Segment) -> None:
        if segment.file >= 0:
            file, segment.file = segment.file, -1
            # an error of closing says nothing that syncing has not said
            with contextlib.suppress(OSError):
                self._disk.close(file)

    def drop(self, below: int) -> None:
        """Remove segments whose shards are all below ``below``."""
        with self._lock:
            gone = [s for s in self._full if s.shard < below and s.file < 0]
            self._full = [s for s in self._full if s not in gone]
        for segment in gone:
            self._disk.remove(segment.path)

    def close(self) -> None:
        """Close all files."""
        for segment in [*self._dirty, self._current, self._next, *self._full]:
            if segment is not None:
                self._close(segment)


def _n_bytes(buffer: Any) -> int:
    return int(buffer.nbytes) if hasattr(buffer, "nbytes") else len(buffer)
