"""Disks that fail, hang or fill up under a recorder, torn frames, and a second recorder.

As a program it fills a small disk of its own: ``unshare -rm python -m tests.faults.bad_disks
FOLDER`` mounts one there, which goes with the process, and prints what happened.
"""

from __future__ import annotations

import errno
import json
import os
import random
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from brainforge.acquisition.recorder.frame import Kind, recording_number, unpack_samples
from brainforge.acquisition.recorder.repair import inspect, repair
from brainforge.acquisition.recorder.wal import FOLDER, Found, LogReader
from brainforge.archive.growing import GrowingArchive
from brainforge.errors import OutputError
from tests.faults.kills import Point, ring_of
from tests.faults.oracle import examine
from tests.faults.recorder_server import ROOT, Order, Recorders

#: of the small disk
SIZE = "24m"
#: seconds after which the second recorder comes, or the disk is filled
MEANWHILE_S = 0.3


@dataclass(frozen=True)
class Trial:
    """What was done to a recorder and what came of it.

    Parameters
    ----------
    fault : str
    status : int
        How the recorder ended.
    acknowledged, stored : int
    problems : tuple of str
    """

    fault: str
    status: int
    acknowledged: int
    stored: int
    problems: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return it JSON-ready."""
        return asdict(self)


#: a disk's misdeeds, as strace injects them: call, file below ``a.zarr``, what, at which call
FAILURES = (
    *(("fdatasync", "live/wal/000001.log", "error=EIO", str(n)) for n in (1, 2, 3)),
    *(("fdatasync", f"live/wal/00000{k}.log", "error=EIO", "2") for k in (0, 2, 3)),
    ("pwritev2", "live/wal/000001.log", "error=EIO", "1"),
    ("pwritev2", "live/wal/000001.log", "error=EIO", "2"),
    ("pwritev2", "live/wal/000002.log", "error=ENOSPC", "1"),
    ("fallocate", "live/wal/000002.log", "error=EIO", "1"),
    ("fdatasync", "live/ledger.log", "error=EIO", "1"),
    ("fdatasync", "live/sealed.log", "error=EIO", "2"),
    ("fsync", "counts/c/0/.1", "error=EIO", "1"),
    ("rename", "counts/c/0/.1", "error=EIO", "1"),
    ("write", "counts/c/0/.1", "error=ENOSPC", "1"),
    ("fdatasync", "live/wal/000001.log", "delay_enter=1500000", "2"),
    ("pwritev2", "live/wal/000001.log", "delay_enter=1500000", "1"),
    ("fsync", "counts/c/0/.1", "delay_enter=1500000", "1"),
)


def failing(recorders: Recorders, folder: Path, failure: tuple[str, str, str, str]) -> Trial:
    """Run a recorder on a disk that fails or hangs at one call; nothing may be missing."""
    call, name, what, when = failure
    out = folder / "a.zarr"
    seen = folder / "calls"
    options = ["-P", str(out / name), "-o", str(seen), "-e", f"trace={call}"]
    inject = ["-e", f"inject={call}:{what}:when={when}"]
    status = recorders.run(Order(str(out)), [*options, *inject])
    if not re.search("INJECTED|DELAYED", seen.read_text()):
        return Trial(f"{call} {name}", status, 0, 0, ("the fault did not happen",))
    full = "ENOSPC" in what
    fault = f"{call} {name} {what} {when}"
    if status != (3 if full else 0):
        text = out.with_suffix(".log").read_text()[-300:]
        return Trial(fault, status, 0, 0, (f"exit status {status}: {text}",))
    # a recorder that was told that the disk is full ends in order with what had come
    found = examine(out, 0 if full else None, torn=full)
    return Trial(fault, status, found.stored, found.stored, found.problems)


def second_recorder(recorders: Recorders, others: Recorders, folder: Path) -> list[Trial]:
    """Let others at an archive that is being recorded; they are refused, it goes on."""
    out = folder / "a.zarr"
    first: list[int] = []
    order = Order(str(out), options={"pause": 0.05})
    worker = threading.Thread(target=lambda: first.append(recorders.run(order)))
    worker.start()
    while not (out / "live/lock").exists():
        time.sleep(0.005)  # it has no other way to say that it has begun
    time.sleep(MEANWHILE_S)
    said = []
    for resume in (False, True):
        other = replace(order, resume=resume)
        status = others.run(other)
        said.append(Trial(f"second recorder, resume={resume}", status, 0, 0,
                          () if status == 2 else ("it was not refused",)))  # fmt: skip
    report = inspect(out)
    lost = sum(gap["stop"] - gap["start"] for gap in report["gaps"])
    whole = report["ok"] and report["received"] == report["stored"] + lost
    told = () if whole and report["state"] == "recording" else (str(report),)
    said.append(Trial("verify while it is recorded", 3, 0, report["stored"], told))
    try:
        repair(out)
        said.append(Trial("repair while it is recorded", 0, 0, 0, ("it was not refused",)))
    except OutputError as error:
        named = f"process {recorders.child}" in str(error)
        said.append(Trial("repair while it is recorded", 2, 0, 0, () if named else (str(error),)))
    worker.join()
    found = examine(out, None)
    said.append(Trial("the first recorder", first[0], found.stored, found.stored, found.problems))
    return said


def torn(recorders: Recorders, folder: Path, seeds: random.Random, n: int) -> Iterator[Trial]:
    """Yield what is made of a log whose last frame of samples is damaged in ``n`` ways."""
    out = folder / "a.zarr"
    order, moment = Order(str(out)), Point("fdatasync", "a.zarr/live/wal/000002.log", 2)
    recorders.run(order, moment.options(folder))
    order.remove_ring()
    last, before = _last_frame(out)
    whole = {p: p.read_bytes() for p in out.rglob("*") if p.is_file()}
    place = last.place
    for _ in range(n):
        at = seeds.randrange(place.offset - 36, place.end)
        way = seeds.choice(["cut", "zeros", "flip"])
        data = bytearray(whole[last.path])
        if way == "cut":
            del data[at:]
        elif way == "zeros":
            data[at:] = bytes(len(data) - at)
        else:
            data[at] ^= 1 << seeds.randrange(8)
        _restore(out, {**whole, last.path: bytes(data)})
        unharmed = way == "zeros" and data == whole[last.path]
        repair(out)
        found = examine(out, before)
        extra = () if unharmed or found.stored == before else (f"{found.stored} stored",)
        yield Trial(f"last frame, {way} at byte {at - place.offset}", 0, before, found.stored,
                    (*found.problems, *extra))  # fmt: skip


def _last_frame(out: Path) -> tuple[Found, int]:
    """Return the last frame of samples in a log, and how many are stored before it."""
    archive = GrowingArchive.resume(out)
    log = LogReader(archive.live / FOLDER, recording_number(archive.recording_id))
    with log:
        frames = [f for f in log.frames if f.place.kind is Kind.SAMPLES]
        n = len(unpack_samples(log.payload(frames[-1]), archive.dtype).data)
    return frames[-1], inspect(out)["stored"] - n


def _restore(out: Path, files: dict[Path, bytes]) -> None:
    for path in sorted(out.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    for path, data in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def full_disk(folder: Path, ballast: int) -> Trial:
    """Fill a small disk of its own under a recorder.

    Parameters
    ----------
    folder : Path
    ballast : int
        Bytes that are left free when it is filled.

    Raises
    ------
    RuntimeError
        This machine gives no such disk; the text says why.
    """
    command = [sys.executable, "-m", "tests.faults.bad_disks", str(folder), str(ballast)]
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", *command],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1] if done.stderr else "no unshare")
    document = json.loads(done.stdout)
    return Trial(**{**document, "problems": tuple(document["problems"])})


def _fill(folder: Path, leave: int) -> Trial:
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", folder], check=True)
    out = folder / "a.zarr"
    status: list[int] = []
    with Recorders() as recorders:
        order = Order(str(out), options={"total": 1_000_000})
        worker = threading.Thread(target=lambda: status.append(recorders.run(order)))
        worker.start()
        while not (out / "live/lock").exists():
            time.sleep(0.005)  # it has no other way to say that it has begun
        time.sleep(MEANWHILE_S)
        _write_ballast(folder / "ballast", leave)
        acknowledged, _ = ring_of(out)
        worker.join()
    # stopped in the middle: what one packet overtook may be the gap at its end
    found = examine(out, acknowledged, torn=True, total=1_000_000)
    said = out.with_suffix(".log").read_text()
    problems = [*found.problems]
    if status != [3] or "the disk is full" not in said or said.count("\n") != 1:
        problems.append(f"exit status {status}: {said}")
    return Trial(f"disk full, {leave} bytes left", status[0], acknowledged, found.stored,
                 tuple(problems))  # fmt: skip


def _write_ballast(path: Path, leave: int) -> None:
    """Fill a disk but for ``leave`` bytes, while others write to it."""
    with path.open("wb") as file:
        for _ in range(100):
            room = os.statvfs(path.parent)
            try:
                os.posix_fallocate(file.fileno(), 0, room.f_bavail * room.f_frsize - leave)
                return
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
    raise RuntimeError("the disk could not be filled")


def main(arguments: Sequence[str]) -> None:
    """Fill a disk in the folder given; the second argument is how many bytes are left free."""
    print(json.dumps(_fill(Path(arguments[0]), int(arguments[1])).to_dict()))


if __name__ == "__main__":
    main(sys.argv[1:])
