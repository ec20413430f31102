"""Files that are on the disk, whole, before anyone hears of them."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from brainforge.errors import OutputError

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def writing(path: Path, full: str = "nothing was left behind") -> Iterator[None]:
    """Turn an error of the file system into one OutputError; ``full``: what a full disk left."""
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        if error.errno in FULL:
            text = f"the disk (or the quota) is full; {full}, free some space"
        else:
            text = f"{error.strerror or error}; choose another folder"
        raise OutputError(f"{path}: cannot be written: {text}") from error


def refuse_existing(path: Path) -> None:
    """Raise OutputError where something has the name already."""
    if os.path.lexists(path):
        raise OutputError(f"{path}: exists already; choose another name or remove it first")


def sync(path: str | Path) -> None:
    """Make a file's content or a folder's names durable."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_durable(path: Path, data: bytes) -> None:
    """Write a file under a hidden name, then give it its own; it is there whole or not at all."""
    partial = path.with_name(f".{path.name}")
    with open(partial, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)
    sync(path.parent)
