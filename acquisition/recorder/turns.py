"""Turns: recorders of one machine sync their logs one after another.

Many logs that are synced at the same moment make each other wait; in turn each takes a few
milliseconds. Nobody waits long: whoever hangs must not stop the others.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final, Self

#: seconds after which a recorder goes ahead without its turn
PATIENCE_S: Final = 0.25
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.001, 0.016


def turns_path(folder: Path) -> Path:
    """Return the file over which recorders that write to the same disk agree.

    One for each user and device, in the user's runtime folder or ``/tmp``.
    """
    runtime = Path(os.environ.get("XDG_RUNTIME_DIR", ""))
    base = runtime if runtime.is_absolute() and runtime.is_dir() else Path("/tmp")
    return base / f"brainforge-turns-{os.getuid()}-{os.stat(folder).st_dev:x}"


class Turns:
    """``with turns:`` is this process's turn, or its patience has ended.

    Parameters
    ----------
    path : Path | None
        The file over which they agree; None lets it go ahead always.
    patience : float
        Seconds.
    pause : callable
        What waits that many seconds.

    Attributes
    ----------
    skipped : int
        How often it went ahead without its turn.
    """

    def __init__(
        self,
        path: Path | None,
        patience: float = PATIENCE_S,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._patience, self._pause = patience, pause
        self.skipped = 0
        self._file = -1
        if path is not None:
            # somebody else's file under that name only means that there are no turns
            with contextlib.suppress(OSError):
                flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
                self._file = os.open(path, flags, 0o600)

    def __enter__(self) -> Self:
        waited, pause = 0.0, FIRST_PAUSE_S
        while self._file >= 0 and not self._taken():
            if waited >= self._patience:
                self.skipped += 1
                break
            self._pause(pause)
            waited += pause
            pause = min(2 * pause, LONGEST_PAUSE_S)
        return self

    def _taken(self) -> bool:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            return True  # where locks do not work there are no turns
        return True

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file >= 0:
            with contextlib.suppress(OSError):
                fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        """Leave the queue."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
