"""Disk: every system call of the recorder's write cycle, in one place.

A cycle is `write` and `sync`; `create`, `allocate` and `sync_folder` make the next segment ahead
of its time, `remove` drops one whose samples lie in a sealed shard. Tests put a disk that fails
in its place.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

FULL: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
#: buffers that one call takes; the system's limit is 1024
MOST_BUFFERS: Final = 512


class Disk:
    """The file system, as the recorder uses it. All methods raise OSError."""

    def create(self, path: Path) -> int:
        """Make a new file and return its descriptor."""
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)

    def open(self, path: Path) -> int:
        """Open a file that is there, for writing."""
        return os.open(path, os.O_RDWR)

    def allocate(self, file: int, size: int) -> None:
        """Reserve room for a file's first ``size`` bytes."""
        os.posix_fallocate(file, 0, size)

    def write(self, file: int, buffers: Sequence[Any], offset: int) -> int:
        """Write buffers behind each other and return how many bytes that were."""
        views = [memoryview(_flat(b)) for b in buffers if len(b)]
        at = offset
        while views:
            n = os.pwritev(file, views[:MOST_BUFFERS], at)
            if n == 0:
                raise OSError(errno.EIO, "nothing was written")
            at += n
            while views and n >= len(views[0]):
                n -= len(views.pop(0))
            if n:
                views[0] = views[0][n:]
        return at - offset

    def sync(self, file: int) -> None:
        """Make a file's data durable; what was written before is on the disk when it returns."""
        os.fdatasync(file)

    def sync_folder(self, path: Path) -> None:
        """Make a folder's names durable."""
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def close(self, file: int) -> None:
        """Close a file."""
        os.close(file)

    def cut(self, file: int, size: int) -> None:
        """Cut a file to ``size`` bytes."""
        os.ftruncate(file, size)

    def remove(self, path: Path) -> None:
        """Remove a file, which may be gone already."""
        path.unlink(missing_ok=True)

    def free(self, path: Path) -> int:
        """Return how many bytes may still be written where ``path`` lies."""
        room = os.statvfs(path)
        return room.f_bavail * room.f_frsize


def _flat(buffer: Any) -> Any:
    """Return an array's bytes without a copy; anything else as it is."""
    return buffer.reshape(-1).view(np.uint8) if isinstance(buffer, np.ndarray) else buffer
