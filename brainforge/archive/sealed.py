"""Journal of the shards that were sealed: sizes, checksums and triggers, so nothing is read twice.

One line a shard in ``live/sealed.log``, with a crc32c. It is written before the shard takes its
name, so a shard with a name has a line, unless the disk lost it: then the shard itself is asked.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from brainforge.archive.durable import sync
from brainforge.archive.manifest import digest
from brainforge.archive.shard import crc32c
from brainforge.info import Info
from brainforge.readers.events import Rises
from brainforge.recording import Event

NAME: Final = "sealed.log"


@dataclass(frozen=True)
class Sealed:
    """One shard as it was sealed.

    Parameters
    ----------
    shard : int
    samples : int
        Stored samples in it.
    size : int
        Bytes of its file.
    sha256 : str
    rises : tuple of (int, int, str)
        Triggers: place among the stored samples, code, channel.
    last : tuple of int
        Codes of the trigger channels at its last sample.
    """

    shard: int
    samples: int
    size: int
    sha256: str
    rises: tuple[tuple[int, int, str], ...] = ()
    last: tuple[int, ...] = ()


def describe_shard(
    shard: int,
    counts: npt.NDArray[Any],
    data: bytes,
    info: Info,
    first: int,
    before: Sealed | None,
) -> Sealed:
    """Return what the journal says of a shard.

    Parameters
    ----------
    counts : array, axes (channel, sample)
        Its stored samples.
    data : bytes
        Its file.
    first : int
        Place of the first among the stored samples.
    before : Sealed | None
        The shard before it.
    """
    rises = Rises(info, None if before is None else before.last)
    found = rises.take(counts[rises.rows], first)
    return Sealed(
        shard,
        counts.shape[1],
        len(data),
        digest(data),
        tuple((event.sample, event.code, event.channel) for event in found),
        tuple(rises.last or ()),
    )


def append(path: Path, entry: Sealed) -> None:
    """Add a line, durably."""
    text = json.dumps(asdict(entry)).encode()
    line = b"%08x %s\n" % (crc32c(text), text)
    fresh = not path.exists()
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        # a line that was torn before must not swallow this one
        os.write(handle, b"\n" + line)
        os.fdatasync(handle)
    finally:
        os.close(handle)
    if fresh:
        sync(path.parent)


def read(path: Path) -> dict[int, Sealed]:
    """Return the last whole line of every shard."""
    out: dict[int, Sealed] = {}
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return out
    for line in lines:
        entry = _parse(line)
        if entry is not None:
            out[entry.shard] = entry
    return out


def _parse(line: bytes) -> Sealed | None:
    head, _, text = line.partition(b" ")
    if not text or head != b"%08x" % crc32c(text):
        return None
    row = json.loads(text)
    row["rises"] = tuple((int(at), int(code), str(name)) for at, code, name in row["rises"])
    return Sealed(**{**row, "last": tuple(row["last"])})


def events_of(sealed: Iterable[Sealed], segments: Iterable[tuple[int, int, int]]) -> list[Event]:
    """Return the triggers at their absolute samples.

    A line that is high at the first sample of a stretch did not rise there.

    Parameters
    ----------
    segments : iterable of (int, int, int)
        Absolute start and stop of every stretch and the place of its first stored sample.
    """
    rows = [rise for entry in sealed for rise in entry.rises]
    stretches = np.array(list(segments), dtype=np.int64).reshape(-1, 3)
    at = np.array([row[0] for row in rows], dtype=np.int64)
    which = np.searchsorted(stretches[:, 2], at, side="right") - 1
    offset = at - stretches[which, 2]
    absolute = stretches[which, 0] + offset
    return [
        Event(int(sample), code, name)
        for sample, (_, code, name), since in zip(absolute, rows, offset, strict=True)
        if since > 0
    ]
