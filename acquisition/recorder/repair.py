"""Repair what a crash interrupted, and look at what is not finished. Nothing is made up."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

from brainforge.acquisition.recorder.begin import Machine
from brainforge.acquisition.recorder.disk import Disk
from brainforge.acquisition.recorder.replay import RECORDER_DIED, Replay
from brainforge.acquisition.recorder.resume import Complete, living_ring, take_over
from brainforge.acquisition.recorder.sealer import unfinished_of
from brainforge.archive.growing import GrowingArchive, read_header, read_shard
from brainforge.archive.live_folder import holder
from brainforge.errors import ReadError

#: seconds of a ring that only takes what lies behind a break of the log
RING_S = 60.0


def repair(path: str | os.PathLike[str], machine: Machine | None = None) -> dict[str, Any]:
    """Finish an interrupted recording: ring and log replayed, last shard sealed, all described.

    It may be interrupted itself and called again.

    Parameters
    ----------
    path : path-like
    machine : Machine | None
        None for this one.

    Returns
    -------
    report : dict
        JSON-ready: ``path``; ``from_ring``, ``from_log``: samples found beyond the unbroken
        log; ``stored``; ``gaps``.

    Raises
    ------
    OutputError
        It is being recorded, or cannot be written.
    ReadError
        There is no interrupted archive, or it contradicts itself.
    InputError
        Not one sample had been recorded; then nothing is left.
    """
    path = Path(path)
    try:
        taken = take_over(
            path, ring_s=RING_S, stop=lambda why: None, machine=machine or Machine(Disk()),
            hold=False, cause="repaired after an interruption",
        )  # fmt: skip
    except Complete:
        return {"path": str(path), "from_ring": 0, "from_log": 0}
    recording = taken.recording
    recording.start()
    try:
        recording.finish("interrupted")
    finally:
        recording.close()
    ledger = recording.ledger
    return {
        "path": str(path),
        "from_ring": taken.from_ring,
        "from_log": taken.from_log,
        "stored": ledger.stored,
        "gaps": len(ledger.gaps()),
    }


def inspect(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Account for every sample of an archive that is being recorded or was interrupted.

    Nothing is changed. What only the ring holds so far is not counted.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    report : dict
        As `brainforge.archive.verify.verify_archive`, with ``state`` recording or interrupted,
        ``holder`` (``pid``, ``started``, or None) and ``in_ring``: samples beyond the log that
        a repair will find.

    Raises
    ------
    ReadError
        There is no unfinished archive, or it contradicts itself.
    """
    path = Path(path)
    owner = holder(path)
    archive = GrowingArchive(path, read_header(path))
    shards, bad = _look_at_shards(archive)
    exact = bool(archive.header["source"].get("exact", True))
    replay = unfinished_of(archive).replay(shards * archive.layout.samples, exact)
    ledger = replay.ledger
    for notice in ledger.explain(replay.causes, RECORDER_DIED):
        ledger.note(notice)
    problems = [{"file": archive.layout.key(k), "problem": how} for k, how in bad]
    damaged = [[a, b] for k, _ in bad for a, b in replay.entries[k].stretches]
    if not ledger.stored:
        problems.append({"file": "live/wal", "problem": "not one sample is there yet"})
    account = ledger.account({})
    return {
        "ok": not problems,
        "state": "interrupted" if owner is None else "recording",
        "path": str(path),
        "n_channels": archive.layout.n_channels,
        "received": account.stop - account.start,
        "stored": ledger.stored,
        "first_sample": account.start,
        "last_sample": account.stop - 1,
        "gaps": [{"start": g.start, "stop": g.stop, "cause": g.cause} for g in account.gaps],
        "exact": account.exact,
        "ledger": dict(Counter(str(n.what) for n in ledger.notices)),
        "checksums": {},
        "damaged": damaged,
        "problems": problems,
        "holder": owner,
        "in_ring": _in_ring(archive, replay),
    }


def _look_at_shards(archive: GrowingArchive) -> tuple[int, list[tuple[int, str]]]:
    """Return how many shards count as sealed, and those of them that are damaged and how.

    As `GrowingArchive.resume` does: a damaged one between others stays in its place, the last
    one does not count.
    """
    n, bad = 0, []
    while archive.shard_path(n).is_file():
        try:
            read_shard(archive.path, archive.layout, n)
        except ReadError as error:
            bad.append((n, error.got))
        n += 1
    if bad and bad[-1][0] == n - 1:
        return n - 1, bad[:-1]
    return n, bad


def _in_ring(archive: GrowingArchive, replay: Replay) -> int:
    ring = living_ring(archive, replay)
    if ring is None:
        return 0
    try:
        return ring.received - replay.ledger.stored
    finally:
        ring.close()
