"""Resume: take over the recording of a process that died, without a sample lost or made up.

What was sealed stays. The log is replayed as far as it is unbroken and made durable; the ring, if
the machine has run on since, has what had come but was not in the log yet, and it goes into the
log now. Where the ring is gone, the log's frames behind a break are written again in its stead.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy.typing as npt

from brainforge.acquisition.live_source import Position
from brainforge.acquisition.notice import Notice, What
from brainforge.acquisition.recorder.begin import Machine, assemble
from brainforge.acquisition.recorder.carry import NAME
from brainforge.acquisition.recorder.frame import Samples
from brainforge.acquisition.recorder.ledger import Ledger
from brainforge.acquisition.recorder.recording import Recording
from brainforge.acquisition.recorder.replay import RECORDER_DIED, Replay, Unfinished
from brainforge.acquisition.recorder.sealer import unfinished_of
from brainforge.acquisition.recorder.segments import segment_paths
from brainforge.acquisition.recorder.wal import FOLDER
from brainforge.acquisition.ring import Ring
from brainforge.archive.durable import sync, writing
from brainforge.archive.growing import GrowingArchive, lock, read_header
from brainforge.archive.layout import LIVE
from brainforge.archive.live_folder import clear_live, is_complete
from brainforge.errors import InputError, ReadError

#: seconds that the disk has for taking what was left to be written
PATIENCE_S: Final = 30.0


@dataclass
class TakenOver:
    """A recording that another process left.

    Parameters
    ----------
    recording : Recording
        Not started yet; everything that was found is committed.
    position : Position | None
        Where its source goes on; None where nothing had come.
    ended : bool
        Whether it had been stopped in order, so that only its end is missing.
    from_ring, from_log : int
        Samples that were found beyond the unbroken log.
    """

    recording: Recording
    position: Position | None
    ended: bool
    from_ring: int
    from_log: int


def take_over(
    path: Path,
    *,
    ring_s: float,
    stop: Callable[[str], None],
    machine: Machine,
    recording_id: str = "",
    hold: bool = True,
    cause: str = "another process took over",
) -> TakenOver:
    """Take over an archive that is not finished, and write what was left to be written.

    Parameters
    ----------
    path : Path
    ring_s : float
        Seconds of a ring that has to be made anew.
    stop : callable
        As `Recording` takes it.
    machine : Machine
    recording_id : str
        What it must have; empty for any.
    hold : bool
        Whether to refuse where there is no room to go on for long.
    cause : str
        What the ledger says about it.

    Raises
    ------
    OutputError
        Another process records it, or the disk takes nothing.
    ReadError
        There is no unfinished archive, or it contradicts itself.
    Complete
        It is finished now.
    """
    with ExitStack() as stack, writing(path, "all that was acknowledged is kept"):
        if is_complete(path) and (path / LIVE).is_dir():
            with lock(path):
                clear_live(path)
            raise Complete(path)
        read_header(path)
        stack.enter_context(lock(path))
        archive = GrowingArchive.resume(path)
        if recording_id and archive.recording_id != recording_id:
            raise InputError(
                where=str(path), expected=f"recording {recording_id}", got=archive.recording_id,
                fix="choose another name",
            )  # fmt: skip
        unfinished = unfinished_of(archive)
        exact = bool(archive.header["source"].get("exact", True))
        replay = unfinished.replay(archive.n_sealed, exact, unbroken=True)
        _check_shards(archive, replay)
        make_durable(archive)
        taken = _take(stack, archive, unfinished, replay, ring_s, stop, machine, hold)
        ring, log = taken.recording.ring, taken.recording.log
        detail = {
            "generation": ring.generation,
            "from_ring": taken.from_ring,
            "from_log": taken.from_log,
        }
        at = taken.position.sample if taken.position else 0
        log.put(Notice(What.RECORDER, at, at, cause, detail=detail))
        taken.recording.parts.stack = stack.pop_all()
    return taken


class Complete(Exception):
    """Nothing was missing but the removal of ``live/``, which has been done."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} is complete")


def _check_shards(archive: GrowingArchive, replay: Replay) -> None:
    """Refuse sealed shards of which nobody knows which samples they hold."""
    sealed = archive.n_sealed // archive.layout.samples
    if sealed > replay.base + 1:
        raise ReadError(
            where=str(archive.live / NAME), expected=f"entries of {sealed} sealed shards",
            got=f"{replay.base} whole ones",
            fix="copy the folder before anything else is tried; its shards can be read one by one",
        )  # fmt: skip


def _take(
    stack: ExitStack,
    archive: GrowingArchive,
    unfinished: Unfinished,
    replay: Replay,
    ring_s: float,
    stop: Callable[[str], None],
    machine: Machine,
    hold: bool,
) -> TakenOver:
    ledger = replay.ledger
    ring = living_ring(archive, replay, writable=True)
    lived = ring is not None
    if ring is None:
        ring = _new_ring(archive, ledger.stored, round(ring_s * archive.info.sfreq))
    ring.generation = max(ring.generation, replay.generation) + 1
    ring.logged = ring.committed = ledger.stored
    ring.sealed = replay.base * archive.layout.samples
    parts = assemble(
        stack, archive, ring, ledger, machine,
        number=replay.next_number, old=replay.old, shard=replay.base,
        carry_end=replay.carry_end, hold=hold,
    )  # fmt: skip
    recording = Recording(parts, stop)
    parts.causes = replay.causes
    from_ring, from_log = ring.received - ledger.stored, 0
    log = recording.log
    log.adopt(replay.carried, replay.last if lived else {**replay.last, "stamp": math.nan},
              ledger.stretches[-1][1] if ledger.stretches else 0)  # fmt: skip
    for item in replay.orphans:
        log.put(item)
    if not lived:
        for samples in list(_behind_the_break(unfinished, replay)):
            ring.write(samples.data, samples.start, samples.counter, samples.arrival_ns)
            log.settle(PATIENCE_S)
            from_log += len(samples.data)
    log.settle(PATIENCE_S)
    for notice in ledger.explain(replay.causes, RECORDER_DIED):
        log.put(notice)
    log.settle(PATIENCE_S)
    position = _position(recording, archive.info.sfreq)
    if position is not None:
        follows = position.sample == ledger.stretches[-1][1]
        last = _last_row(ring, unfinished, replay) if follows else None
        recording.continue_at(position.sample, last)
    ended = replay.ended is not None and not from_ring
    return TakenOver(recording, position, ended, from_ring, from_log)


def _position(recording: Recording, sfreq: float) -> Position | None:
    ledger, last = recording.ledger, recording.log.last
    if not ledger.stored:
        return None
    beyond = ledger.stop - ledger.stretches[-1][1]
    counter = int(last.get("counter", -1))
    stamp = float(last.get("stamp", math.nan)) + (1 + beyond) / sfreq
    return Position(ledger.stop, counter + 1 + beyond if counter >= 0 else -1, stamp)


def living_ring(archive: GrowingArchive, replay: Replay, *, writable: bool = False) -> Ring | None:
    """Return the ring of the process that died, where it fits to what the log says.

    None where the machine has started anew since, or the ring is gone or another one.
    """
    try:
        ring = Ring.attach(Path(archive.header["ring"]), writable=writable)
    except InputError:
        return None
    if ring.of_this_boot and _fits(ring, archive, replay.ledger):
        return ring
    ring.close()
    return None


def _fits(ring: Ring, archive: GrowingArchive, ledger: Ledger) -> bool:
    if ring.n_channels != archive.layout.n_channels or ring.dtype != archive.dtype:
        return False
    stored = ledger.stored
    if not ring.oldest <= stored <= ring.received:
        return False
    if ring.oldest < stored:
        return ring.views(stored - 1, stored)[0].start == ledger.stretches[-1][1] - 1
    return stored == 0


def _new_ring(archive: GrowingArchive, first: int, capacity: int) -> Ring:
    path = Path(archive.header["ring"])
    path.unlink(missing_ok=True)
    return Ring.create(path, archive.layout.n_channels, archive.dtype, capacity, first)


def make_durable(archive: GrowingArchive) -> None:
    """Sync the log: what a process wrote before it died may be in memory only."""
    for path in [*segment_paths(archive.live / FOLDER), archive.live / NAME]:
        if path.exists():
            sync(path)


def _behind_the_break(unfinished: Unfinished, replay: Replay) -> Iterator[Samples]:
    frames = enumerate(unfinished.samples(replay))
    return (samples for i, (_, samples) in frames if i >= replay.n_unbroken)


def _last_row(ring: Ring, unfinished: Unfinished, replay: Replay) -> npt.NDArray[Any] | None:
    """Return the newest sample, axes (channel,); None where it lies in a shard only."""
    last = ring.received
    if ring.oldest < last:
        row: npt.NDArray[Any] = ring.views(last - 1, last)[0].data[0].copy()
        return row
    rows = [samples.data[-1] for _, samples in unfinished.samples(replay)]
    return rows[-1] if rows else None
