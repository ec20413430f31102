"""Power cuts: a traced recorder's calls replayed up to every moment, what was not synced lost."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from brainforge.acquisition.recorder.repair import repair
from brainforge.archive.live_folder import State, state_of
from brainforge.errors import InputError
from tests.faults.oracle import examine
from tests.faults.recorder_server import Order, Recorders
from tests.faults.system_calls import CHANGES, Call, calls
from tests.faults.volatile_disk import VolatileDisk

ACK = b"ACK "


@dataclass(frozen=True)
class Cut:
    """A power cut.

    Parameters
    ----------
    after : int
        Calls that had ended.
    call : str
        The last of them.
    seed : int | None
        Decides what of the unsynced is kept; None keeps nothing.
    acknowledged : int
        Stored samples.
    """

    after: int
    call: str
    seed: int | None
    acknowledged: int


def record(recorders: Recorders, folder: Path, log: Path) -> list[Call]:
    """Run a recorder to its end and return its calls, bytes and all."""
    order = Order(str(folder / "a.zarr"), acks=str(log.with_suffix(".acks")))
    options = ["-xx", "-s", "100000000", "--seccomp-bpf", "-o", str(log)]
    status = recorders.run(order, [*options, "-e", f"trace={','.join(CHANGES)}"])
    assert status == 0, (folder / "a.log").read_text()
    return list(calls(log))


def cuts(
    told: list[Call],
    folder: Path,
    where: Path,
    seeds: random.Random,
    *,
    strict: float,
    kinder: float,
) -> Iterator[Cut]:
    """Replay calls; at every moment leave in ``where`` what a cut would, and yield.

    Between two syncs a strict disk loses the same; of such moments only the first is yielded.

    Parameters
    ----------
    told : list of Call
    folder : Path
        Where they happened.
    where : Path
        Emptied and filled before each cut.
    seeds : Random
    strict, kinder : float
        Probability of a cut at a moment, on a disk that loses all that was not synced, and on one
        that keeps some of it.
    """
    disk, acknowledged = VolatileDisk(folder), 0
    seen = (-1, -1)
    for number, call in enumerate(told):
        disk.take(call)
        if call.name == "write" and call.data.startswith(ACK):
            acknowledged = int(call.data[len(ACK) :])
        kept: list[int | None] = []
        if (disk.version, acknowledged) != seen:
            seen = disk.version, acknowledged
            kept += [None] if seeds.random() < strict else []
        if seeds.random() < kinder:
            kept.append(seeds.randrange(1 << 30))
        for seed in kept:
            shutil.rmtree(where, ignore_errors=True)
            where.mkdir()
            disk.write_left(where, None if seed is None else random.Random(seed))
            yield Cut(number, call.name, seed, acknowledged)


def judge(where: Path, cut: Cut) -> tuple[str, ...]:
    """Repair what a cut left and return what is wrong with it."""
    out = where / "a.zarr"
    if not out.exists():
        return () if not cut.acknowledged else ("the recording is gone",)
    if state_of(out) is not State.FINISHED:
        try:
            repair(out)
        except InputError as error:
            return () if not cut.acknowledged else (str(error),)
    if not out.exists():
        return () if not cut.acknowledged else ("the recording is gone",)
    return examine(out, cut.acknowledged, torn=cut.seed is not None).problems


def to_line(cut: Cut, problems: tuple[str, ...]) -> str:
    """Return a cut and its problems as one line."""
    return json.dumps({**cut.__dict__, "problems": problems})
