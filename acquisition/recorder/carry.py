"""Carry: the file that outlives the log's segments, ``live/ledger.log``.

When a shard is sealed its segments go. Their notices and markers, and which absolute samples the
shard holds, are appended here first, durably, in the log's own framing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from brainforge.acquisition.notice import Notice
from brainforge.acquisition.recorder.disk import Disk
from brainforge.acquisition.recorder.frame import Kind, Writer, pack_json, scan
from brainforge.acquisition.recorder.log import Carried, End, document_of, item_of
from brainforge.errors import ReadError
from brainforge.recording import Event

NAME: Final = "ledger.log"


@dataclass(frozen=True)
class ShardEntry:
    """What is known of one sealed shard.

    Parameters
    ----------
    shard : int
    stretches : tuple of (int, int)
        Absolute samples in it.
    last : dict
        Counter and stamp of its last sample.
    items : tuple of Notice and Event
        What its segments said.
    number, generation : int
        Of the last frame in its segments.
    end : int
        Where the next entry goes.
    """

    shard: int
    stretches: tuple[tuple[int, int], ...]
    last: dict[str, Any]
    items: tuple[Notice | Event, ...]
    number: int
    generation: int
    end: int


class Carry:
    """Appends to the file.

    Parameters
    ----------
    path : Path
        Made where it is not there.
    writer : Writer
    disk : Disk
    at : int
        Where the next entry goes: behind the last whole one.
    """

    def __init__(self, path: Path, writer: Writer, disk: Disk, at: int = 0) -> None:
        self._writer, self._disk, self._at = writer, disk, at
        there = path.exists()
        self._file = disk.open(path) if there else disk.create(path)
        if there:
            disk.cut(self._file, at)
        else:
            disk.sync_folder(path.parent)

    def append(self, shard: int, carried: Carried) -> None:
        """Keep what a shard's segments hold besides samples; it is durable when this returns.

        Raises
        ------
        OSError
            Nothing is lost: the segments are still there, and it may be tried again.
        """
        frames = [
            pack_json(self._writer, carried.number, *document_of(item)) for item in carried.items
        ]
        head = {
            "shard": shard,
            "stretches": carried.stretches,
            "last": carried.last,
            "generation": carried.generation,
        }
        entry = pack_json(self._writer, carried.number, Kind.SHARD, head)
        # the entry comes last: what is before it counts only with it
        n = self._disk.write(self._file, [*frames, entry], self._at)
        self._disk.sync(self._file)
        self._at += n

    def close(self) -> None:
        """Close the file."""
        if self._file >= 0:
            self._disk.close(self._file)
            self._file = -1


def read_carry(path: Path, recording: int, shard_samples: int) -> list[ShardEntry]:
    """Return the entries of all shards in order.

    Raises
    ------
    ReadError
        An entry in the middle is damaged, and those around it leave open what it said.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    found: dict[int, ShardEntry] = {}
    items: list[Notice | Event] = []
    for place in scan(data, recording):
        document = json.loads(data[place.offset : place.end])
        if place.kind is not Kind.SHARD:
            item = item_of(place.kind, document)
            if not isinstance(item, End):
                items.append(item)
            continue
        shard = int(document["shard"])
        stretches = tuple((int(a), int(b)) for a, b in document["stretches"])
        found[shard] = ShardEntry(
            shard,
            stretches,
            document["last"],
            tuple(items),
            place.number,
            int(document["generation"]),
            place.end,
        )
        items = []
    for shard in range(max(found, default=-1)):
        if shard not in found:
            found[shard] = _between(path, found.get(shard - 1), found.get(shard + 1), shard_samples)
    return [found[shard] for shard in sorted(found)]


def _between(
    path: Path, before: ShardEntry | None, after: ShardEntry | None, shard_samples: int
) -> ShardEntry:
    """Return what a damaged entry must have said: its neighbours leave room for its samples."""
    if after is not None:
        stop = after.stretches[0][0]
        start = before.stretches[-1][1] if before is not None else stop - shard_samples
        if stop - start == shard_samples:
            stretches = ((start, stop),)
            shard, end = after.shard - 1, after.end
            return ShardEntry(shard, stretches, {}, (), after.number, after.generation, end)
    raise ReadError(
        where=str(path),
        expected="which samples every sealed shard holds",
        got="a damaged entry between others",
        fix="copy the folder before anything else is tried; its shards can be read one by one",
    )
