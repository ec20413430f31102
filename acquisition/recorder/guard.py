"""Guard: keeps room on the disk for ending the recording in order, and says how long it lasts."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from brainforge.acquisition.recorder.disk import Disk

NAME: Final = "reserve"
#: the room's end is announced so many seconds ahead
WARN_S: Final = 1800.0
#: what metadata and manifest take at most, beside eight bytes a kilobyte of counts
METADATA: Final = 4 << 20
#: seconds between two looks
PERIOD_S: Final = 1.0


@dataclass(frozen=True)
class Room:
    """How much can still be recorded.

    Parameters
    ----------
    free_bytes : int
    hours_left : float
    alarm : str
        Empty where there is nothing to worry about.
    """

    free_bytes: int
    hours_left: float
    alarm: str = ""


class Guard:
    """Watches the disk that an archive grows on.

    Parameters
    ----------
    live : Path
        The folder in which the reserve is kept.
    disk : Disk
    shard_bytes : int
        Of a decoded shard.
    bytes_per_s : float
        Of the stream.

    Attributes
    ----------
    need : int
        Free bytes below which the recording has to stop: the next segment and the next shard.
    reserve : int
        Bytes held back for what ending takes: the last shard and all metadata.
    """

    def __init__(self, live: Path, disk: Disk, shard_bytes: int, bytes_per_s: float) -> None:
        self._path, self._live, self._disk = live / NAME, live, disk
        self._bytes_per_s = max(bytes_per_s, 1.0)
        self.need = 3 * shard_bytes + (1 << 20)
        self.reserve = 2 * shard_bytes + METADATA
        self._looked = 0.0
        self.room = Room(disk.free(live), self._hours(disk.free(live)))

    def hold(self) -> None:
        """Reserve the room.

        Raises
        ------
        OSError
            It is not there.
        """
        self._disk.remove(self._path)
        file = self._disk.create(self._path)
        try:
            self._disk.allocate(file, self.reserve)
        finally:
            self._disk.close(file)

    def release(self) -> None:
        """Give the reserve free, for the end."""
        self._disk.remove(self._path)

    def look(self) -> bool:
        """Return whether there is room to go on, and note how much; looks once a second."""
        now = time.monotonic()
        if now - self._looked < PERIOD_S:
            return True
        self._looked = now
        try:
            free = self._disk.free(self._live)
        except OSError as error:
            self.room = replace(
                self.room, alarm=f"the disk does not say its room: {error.strerror}"
            )
            return True
        hours, alarm = self._hours(free), ""
        if 3600 * hours < WARN_S:
            alarm = f"the disk has room for {60 * hours:.0f} more minutes; free some space"
        self.room = Room(free, hours, alarm)
        return free >= self.need

    def _hours(self, free: int) -> float:
        # as the counts come: how well they will be compressed is not known before
        return max(free - self.need, 0) / self._bytes_per_s / 3600
