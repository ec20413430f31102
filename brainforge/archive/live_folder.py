"""``live/``: what makes a folder an archive that is being recorded, and who records it."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from brainforge.archive import manifest
from brainforge.archive.durable import sync, writing
from brainforge.archive.layout import LIVE
from brainforge.errors import OutputError, ReadError

HEADER: Final = "header.json"
LOCK: Final = "lock"


class State(StrEnum):
    """What became of an archive's recording."""

    FINISHED, RECORDING, INTERRUPTED = "finished", "recording", "interrupted"


def _try_lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def holder(path: Path) -> dict[str, Any] | None:
    """Return who records the archive (``pid``, ``started``), or None where nobody does."""
    try:
        handle = os.open(path / LIVE / LOCK, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        if _try_lock(handle):
            return None
        return _owner(handle)
    finally:
        os.close(handle)


def _owner(handle: int) -> dict[str, Any]:
    try:
        owner = json.loads(os.pread(handle, 4096, 0))
        return {"pid": int(owner["pid"]), "started": str(owner["started"])}
    except (ValueError, KeyError, TypeError):
        # it has the lock and is about to say who it is
        return {"pid": 0, "started": "now"}


def how_to_end(owner: dict[str, Any]) -> str:
    """Return what ends a recording in order, whoever has lost sight of it."""
    return f"kill -TERM {owner['pid']} ends it in order"


def state_of(path: Path) -> State:
    """Return whether an archive is finished, being recorded or interrupted.

    It is finished when its manifest is there, even where ``live/`` has not been removed yet.
    """
    if not (path / LIVE).is_dir() or is_complete(path):
        return State.FINISHED
    return State.INTERRUPTED if holder(path) is None else State.RECORDING


def refuse_unfinished(path: Path) -> None:
    """Raise ReadError where an archive is being recorded or was interrupted."""
    if state_of(path) is State.FINISHED:
        return
    owner = holder(path)
    if owner is None:
        got, fix = "a recording that was interrupted", f"finish it with: brainforge repair {path}"
    else:
        got = f"one that process {owner['pid']} has been recording since {owner['started']}"
        fix = f"wait until it ends; {how_to_end(owner)}"
    raise ReadError(where=str(path), expected="a finished archive", got=got, fix=fix)


@contextmanager
def lock(path: Path) -> Iterator[None]:
    """Be the only one who writes an unfinished archive; the system lets go when a process dies.

    Raises
    ------
    OutputError
        Another process has it, which the message names, or the archive is gone or finished.
    """
    name = path / LIVE / LOCK
    with writing(path):
        handle = os.open(name, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if not _try_lock(handle):
            owner = _owner(handle)
            raise OutputError(
                f"{path}: is being recorded by process {owner['pid']} since {owner['started']}; "
                f"{how_to_end(owner)}, or choose another name"
            )
        if not _same(handle, name):
            raise OutputError(f"{path}: was finished by another process just now")
        started = time.strftime("%Y-%m-%dT%H:%M:%S")
        os.ftruncate(handle, 0)
        os.pwrite(handle, json.dumps({"pid": os.getpid(), "started": started}).encode(), 0)
        yield
    finally:
        os.close(handle)


def _same(handle: int, name: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.stat(name))
    except FileNotFoundError:
        return False


def is_complete(path: Path) -> bool:
    """Whether everything but the removal of ``live/`` is done: the manifest is written last."""
    return (path / manifest.NAME).is_file()


def clear_live(path: Path) -> None:
    """Remove ``live/`` of a complete archive; once begun it can be ended by any later call."""
    live = path / LIVE
    if not live.is_dir():
        return
    with writing(path):
        for entry in sorted(live.iterdir()):
            if entry.name in (HEADER, LOCK):
                continue
            if entry.is_dir():
                shutil.rmtree(entry)
            else:
                entry.unlink()
        # last, so that what is half removed still says whose it was
        (live / HEADER).unlink(missing_ok=True)
        (live / LOCK).unlink(missing_ok=True)
        live.rmdir()
        sync(path)
