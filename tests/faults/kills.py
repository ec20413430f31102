"""SIGKILL of a recorder at each of its system calls, and what is made of what it leaves."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from brainforge.acquisition.recorder.repair import inspect, repair
from brainforge.acquisition.ring import Ring
from brainforge.archive.growing import read_header
from brainforge.archive.layout import LIVE
from brainforge.archive.live_folder import State, state_of
from brainforge.errors import InputError, ReadError
from tests.faults.oracle import examine
from tests.faults.recorder_server import Order, Recorders
from tests.faults.system_calls import CHANGES

#: and those by which recorders wait for each other
WATCHED = (*CHANGES, "flock")
#: of the metadata, which is written anew when the end is tried again, only what changes the disk
IN_METADATA = ("mkdir", "write", "rename", "fsync", "unlink", "fallocate", "ftruncate")
_METADATA = re.compile(r"a\.zarr/(?!counts/c|live|committed|\.?manifest)\w+")
_LINE = re.compile(r"^(\d+) +(\w+)\((.*)$")


@dataclass(frozen=True)
class Point:
    """A moment in a recorder's life: before the ``n``-th ``call`` on ``path``.

    Parameters
    ----------
    call : str
    path : str
        Below the folder that holds the archive; other files have their own place in the system.
        ``{pid}`` stands for the recorder's process. Empty for any file.
    n : int
    """

    call: str
    path: str
    n: int

    def options(self, folder: Path) -> list[str]:
        """Return strace's options that end a recorder there."""
        inject = f"inject={self.call}:signal=SIGKILL:when={self.n}"
        only = ["-P", str(folder / self.path)] if self.path else []
        return [*only, "-o", "/dev/null", "-e", f"trace={self.call}", "-e", inject]


@dataclass(frozen=True)
class Row:
    """What a kill left.

    Parameters
    ----------
    point : Point
    killed : bool
        False where the recorder ended before it came there.
    how : str
        What was done with what it left: nothing there, repair, takeover.
    acknowledged, received : int
        Samples that were acknowledged and those that had come, in stored samples.
    stored, lost : int
        In the end.
    problems : tuple of str
    """

    point: Point
    killed: bool
    how: str
    acknowledged: int
    received: int
    stored: int
    lost: int
    problems: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return it JSON-ready."""
        return asdict(self)


def reference(recorders: Recorders, folder: Path, name: str) -> Counter[tuple[str, str]]:
    """Run a recorder to its end and count its calls by name and file, the most of any thread."""
    log = folder / f"{name}.calls"
    out = folder / "a.zarr"
    options = ["-y", "-s", "4096", "--seccomp-bpf", "-o", str(log), "-e"]
    status = recorders.run(Order(str(out)), [*options, f"trace={','.join(WATCHED)}"])
    assert status == 0, (folder / "a.log").read_text()
    finding = examine(out, None)
    assert not finding.problems, finding
    shutil.rmtree(out)
    inside = re.compile(re.escape(f"{folder}/") + r'([^">]+)|(/[^">]*/brainforge-turns[^">]*)')
    counts: dict[tuple[str, str], Counter[str]] = {}
    for line in log.read_text().splitlines():
        found = _LINE.match(line)
        paths = inside.findall(found[3]) if found else []
        if found is None or not paths:
            continue
        name = "".join(paths[0]).replace(f".new-{recorders.child}", ".new-{pid}")
        if name not in ("a.spec", "a.log"):
            counts.setdefault((found[2], name), Counter())[found[1]] += 1
            # a made-up name can be waited for only by counting: it matters when it is given up
            if found[2] == "rename":
                counts.setdefault(("rename", ""), Counter())[found[1]] += 1
    log.unlink()
    return Counter({key: max(by.values()) for key, by in counts.items()})


def points(recorders: Recorders, folder: Path) -> list[Point]:
    """Return all moments at which a recorder can be ended, in the order of its first calls.

    Of files whose names differ from run to run only the renaming counts. Threads take turns, so a
    few of the moments do not come in every run.
    """
    one, two = (reference(recorders, folder, name) for name in ("one", "two"))
    named = {path for _, path in two}
    return [
        Point(call, path, n + 1)
        for (call, path), most in one.items()
        if path in named and (not _METADATA.match(path) or call in IN_METADATA)
        for n in range(most)
    ]


def ring_of(archive: Path) -> tuple[int, int]:
    """Return how many samples were acknowledged and received by a recorder that is gone."""
    try:
        ring = Ring.attach(Path(read_header(archive)["ring"]))
    except (ReadError, ValueError):
        return 0, 0
    try:
        return ring.committed, ring.received
    finally:
        ring.close()


def kill(recorders: Recorders, folder: Path, point: Point, takeover: bool) -> Row:
    """End a recorder at a point, let the recording be repaired or taken over, and judge it."""
    out = folder / "a.zarr"
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    order = Order(str(out))
    status = recorders.run(order, point.options(folder))
    killed = status == -9
    acknowledged, received = ring_of(out)
    row = Row(point, killed, "", acknowledged, received, 0, 0, ())
    if not killed and status:
        text = (folder / "a.log").read_text()[-300:]
        return replace(row, problems=(f"exit status {status}: {text}",))
    try:
        return _end(recorders, order, row, takeover)
    finally:
        order.remove_ring()


def _end(recorders: Recorders, order: Order, row: Row, takeover: bool) -> Row:
    out = Path(order.out)
    if not out.exists():
        return replace(row, how="nothing there")
    if not (out / LIVE).is_dir():
        return _judged(out, replace(row, how="finished"), everything=True)
    complete = state_of(out) is State.FINISHED
    if takeover:
        row = replace(row, how="takeover")
        status = recorders.run(replace(order, resume=True))
        if status:
            text = out.with_suffix(".log").read_text()[-300:]
            return replace(row, problems=(f"exit status {status}: {text}",))
        return _judged(out, row, None if complete else row.received)
    found = () if complete else tuple(_inspected(out, row))
    row = replace(row, how="repair", problems=found)
    try:
        repair(out)
    except InputError as error:
        # not one sample had come, and so nothing is left
        gone = () if not row.received and not out.exists() else (str(error),)
        return replace(row, problems=gone)
    return _judged(out, row)


def _judged(out: Path, row: Row, at_takeover: int | None = None, everything: bool = False) -> Row:
    found = examine(out, None if everything else row.acknowledged, at_takeover)
    left = ("live/ is still there",) if (out / LIVE).exists() else ()
    problems = (*row.problems, *found.problems, *left)
    return replace(row, stored=found.stored, lost=found.lost, problems=problems)


def _inspected(out: Path, row: Row) -> Iterator[str]:
    """Yield what is wrong with the account of an archive before it is repaired."""
    report = json.loads(json.dumps(inspect(out)))
    lost = sum(gap["stop"] - gap["start"] for gap in report["gaps"])
    if report["state"] != "interrupted" or report["ok"] != (report["stored"] > 0):
        yield f"inspect: {report['state']}, {report['problems'][:2]}"
    if report["received"] != report["stored"] + lost:
        yield "inspect: received is not stored and lost"
    if report["stored"] < row.acknowledged:
        yield f"inspect: {row.acknowledged} acknowledged, {report['stored']} found"
