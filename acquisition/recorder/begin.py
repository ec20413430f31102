"""Begin: what a new recording needs, made in the order in which nothing is left behind."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from brainforge.acquisition.recorder.carry import NAME, Carry
from brainforge.acquisition.recorder.disk import Disk
from brainforge.acquisition.recorder.frame import Writer, recording_number, samples_bytes
from brainforge.acquisition.recorder.guard import Guard
from brainforge.acquisition.recorder.ledger import Ledger
from brainforge.acquisition.recorder.log import Log
from brainforge.acquisition.recorder.recording import Parts, Recording
from brainforge.acquisition.recorder.sealer import Sealer
from brainforge.acquisition.recorder.segments import Segment, Segments
from brainforge.acquisition.recorder.turns import Turns, turns_path
from brainforge.acquisition.recorder.wal import FOLDER
from brainforge.acquisition.ring import Ring
from brainforge.archive.durable import refuse_existing, writing
from brainforge.archive.growing import GrowingArchive, lock
from brainforge.errors import OutputError
from brainforge.info import Info

#: where rings lie, as long as at most half of what is free is taken
MEMORY: Final = Path("/dev/shm")
RING: Final = "ring"
#: bytes of a segment for heads of frames, notices and markers, beside the samples
SLACK: Final = 256 << 10
#: bytes beside every sample of a ring, and beside all of them
BESIDE, ABOUT = 24, 1 << 20


@dataclass(frozen=True)
class Machine:
    """What a recorder takes from the machine it runs on; tests put their own in its place.

    Parameters
    ----------
    disk : Disk
    memory : Path
        Folder for rings.
    turns : bool
        Whether recorders sync one after another.
    """

    disk: Disk
    memory: Path = MEMORY
    turns: bool = True


def ring_path(machine: Machine, archive: Path, recording_id: str, size: int) -> Path:
    """Return where a ring of ``size`` bytes goes: into memory, or else beside the log."""
    try:
        if machine.disk.free(machine.memory) >= 2 * size:
            return machine.memory / f"brainforge-{recording_id}.ring"
    except OSError:
        return archive / "live" / RING
    return archive / "live" / RING


def ring_bytes(n_channels: int, dtype: np.dtype[Any], capacity: int) -> int:
    """Return about how many bytes a ring takes."""
    return capacity * (BESIDE + n_channels * dtype.itemsize) + ABOUT


def begin(
    out: Path,
    info: Info,
    dtype: np.dtype[Any],
    *,
    source: dict[str, Any],
    recording_id: str,
    ring_s: float,
    stop: Callable[[str], None],
    machine: Machine,
    shard_samples: int | None = None,
) -> Recording:
    """Return a new recording, not started yet.

    Parameters
    ----------
    out : Path
        Must not exist.
    info : Info
    dtype : dtype
        Of the samples.
    source : dict
        Where they come from, JSON-ready; ``exact`` tells whether they are counted.
    recording_id : str
    ring_s : float
    stop : callable
        As `Recording` takes it.
    machine : Machine
    shard_samples : int | None
        Samples of a shard, instead of about ten seconds.

    Raises
    ------
    OutputError
        The output exists, or there is no room for it.
    """
    refuse_existing(out)
    capacity = round(ring_s * info.sfreq)
    size = ring_bytes(info.n_channels, dtype, capacity)
    path = ring_path(machine, out.absolute(), recording_id, size)
    in_memory = path.parent == machine.memory
    with ExitStack() as undo, writing(out):
        if in_memory:
            path.unlink(missing_ok=True)  # of a recorder that died before it had an archive
            ring = Ring.create(path, info.n_channels, dtype, capacity)
            undo.callback(path.unlink)
        archive = GrowingArchive.create(
            out, info, dtype, source=source, recording_id=recording_id,
            shard_samples=shard_samples, ring=str(path),
        )  # fmt: skip
        undo.callback(shutil.rmtree, out, ignore_errors=True)
        if not in_memory:
            ring = Ring.create(path, info.n_channels, dtype, capacity)
        ring.generation = 1
        held = undo.enter_context(ExitStack())
        held.enter_context(lock(out))
        ledger = Ledger(bool(source.get("exact", True)))
        parts = assemble(held, archive, ring, ledger, machine)
        parts.stack = held.pop_all()
        undo.pop_all()
    return Recording(parts, stop)


def assemble(
    stack: ExitStack,
    archive: GrowingArchive,
    ring: Ring,
    ledger: Ledger,
    machine: Machine,
    *,
    number: int = 0,
    old: Iterable[Segment] = (),
    shard: int = 0,
    carry_end: int = 0,
    hold: bool = True,
) -> Parts:
    """Put together what works on an archive.

    Parameters
    ----------
    stack : ExitStack
        Holds the archive's lock; takes what has to be closed.
    archive, ring, ledger
    machine : Machine
    number : int
        Of the log's next frame.
    old : iterable of Segment
        Of recorders before.
    shard : int
        The first one whose segments are still there.
    carry_end : int
        Where the carried ledger's next entry goes.
    hold : bool
        Whether to hold room for the end back, and to refuse to begin without.
    """
    layout, disk = archive.layout, machine.disk
    n, itemsize, sfreq = layout.n_channels, archive.dtype.itemsize, archive.info.sfreq
    folder = archive.live / FOLDER
    if not folder.is_dir():
        folder.mkdir()
        disk.sync_folder(archive.live)
    writer = Writer(recording_number(archive.recording_id), ring.generation)
    segment_bytes = samples_bytes(layout.samples, n, itemsize) + SLACK
    segments = Segments(folder, segment_bytes, disk, old)
    stack.callback(segments.close)
    guard = Guard(archive.live, disk, layout.samples * n * itemsize, sfreq * n * itemsize)
    if hold:
        _hold(archive.path, guard, segments)
    carry = Carry(archive.live / NAME, writer, disk, carry_end)
    stack.callback(carry.close)
    turns = Turns(turns_path(archive.live) if machine.turns else None)
    stack.callback(turns.close)
    log = Log(ring, ledger, segments, writer, layout.samples, sfreq, turns, number)
    sealer = Sealer(archive, ring, log, carry, shard)
    return Parts(archive, ring, ledger, log, sealer, guard, stack)


def _hold(path: Path, guard: Guard, segments: Segments) -> None:
    """Take the room that ending in order needs, and the first segment."""
    try:
        guard.hold()
        segments.prepare()
        enough = guard.look()
    except OSError as error:
        guard.release()
        raise OutputError(
            f"{path}: no room to record there: {error.strerror or error}; free some space"
        ) from error
    if not enough:
        guard.release()
        raise OutputError(
            f"{path}: no room to record there: expected {guard.need >> 20} MiB free beside the "
            f"reserve, got {guard.room.free_bytes >> 20}; free some space or choose another disk"
        )
