"""What an archive of the counting device must hold, whatever happened to its recorder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.archive import open_archive, verify_archive
from brainforge.archive.reader import read_parts
from brainforge.recording import Recording
from tests.faults.counting_driver import CHUNK, LOST, SWAPPED, TOTAL, TWICE, UNBUFFERED, values

Index = npt.NDArray[np.int64]


def device_samples(total: int = TOTAL) -> Index:
    """Return the indices of all samples that leave the device, in order."""
    index = np.arange(total)
    return index[(index < LOST[0]) | (index >= LOST[1])]


@dataclass(frozen=True)
class Finding:
    """What became of a recording.

    Parameters
    ----------
    received, stored, lost : int
        As `verify_archive` counts them.
    problems : tuple of str
        Whatever is not as it must be.
    """

    received: int
    stored: int
    lost: int
    problems: tuple[str, ...]


def stored_index(recording: Recording) -> Index:
    """Return the absolute indices of the stored samples."""
    return np.concatenate([np.arange(a, b) for a, b in recording.segments])


def examine(
    path: Path,
    acknowledged: int | None,
    at_takeover: int | None = None,
    *,
    torn: bool = False,
    total: int = TOTAL,
) -> Finding:
    """Compare a finished archive with the device.

    Parameters
    ----------
    path : Path
    acknowledged : int | None
        Stored samples that were acknowledged; None for all that the device sends.
    at_takeover : int | None
        Stored samples that a second recorder found; it then went on to the device's end. None
        where the recording ends with what the first one left.
    torn : bool
        Whether of what was not acknowledged some may be missing with later samples there.
    total : int
    """
    report = verify_archive(path)
    recording = open_archive(path)
    ledger = read_parts(path)[2].source["ledger"]
    held = stored_index(recording)
    gaps = [(gap.start, gap.stop) for gap in recording.gaps]
    # on a machine that stood still for longer than the source waits, what was overtaken is late
    late = SWAPPED in gaps
    sent, away = device_samples(total), (0, 0)
    if late:
        sent = sent[(sent < SWAPPED[0]) | (sent >= SWAPPED[1])]
    if acknowledged is None:
        acknowledged = len(sent)
    if torn:
        rest = sent[acknowledged:]
        expected = np.concatenate([sent[:acknowledged], rest[np.isin(rest, held)]])
    elif at_takeover is None:
        expected = sent[: len(held)]
    elif at_takeover:
        left = int(sent[at_takeover - 1]) + 1
        away = (left, left + UNBUFFERED)
        expected = sent[(sent < away[0]) | (sent >= away[1])]
    else:
        expected = sent
    lost = sum(gap["stop"] - gap["start"] for gap in report["gaps"])
    safe = int(sent[acknowledged - 1]) + 1 if acknowledged else 0
    checks = {
        f"verify: {report['problems'][:2]}": report["ok"],
        "received is not stored and lost": report["received"] == report["stored"] + lost,
        f"{acknowledged} acknowledged, {len(held)} stored": len(held) >= acknowledged,
        f"stored {_show(held)}, expected {_show(expected)}": np.array_equal(held, expected),
        "samples that the device never took": _as_taken(recording),
        f"not exact, with {ledger['counts']}": report["exact"] is True,
        f"gaps {report['gaps']}": _gaps_are_those_missing(recording, held),
        f"ledger {ledger['counts']}": _ledger_fits(ledger["entries"], safe, away, late),
        "triggers": _events_fit(recording),
    }
    problems = tuple(text for text, fits in checks.items() if not fits)
    return Finding(report["received"], report["stored"], lost, problems)


def _show(index: Index) -> str:
    cuts = np.flatnonzero(np.diff(index) != 1)
    starts, stops = [0, *(cuts + 1)], [*cuts, len(index) - 1]
    return " ".join(f"{index[a]}-{index[b]}" for a, b in zip(starts, stops)) if len(index) else "-"


def _as_taken(recording: Recording) -> bool:
    return all(
        np.array_equal(recording.read(a, b).data.T, values(np.arange(a, b)))
        for a, b in recording.segments
    )


def _gaps_are_those_missing(recording: Recording, held: Index) -> bool:
    missing = np.setdiff1d(np.arange(recording.start, recording.stop), held)
    told = [np.arange(gap.start, gap.stop) for gap in recording.gaps]
    return recording.start == 0 and np.array_equal(missing, np.concatenate([[], *told]))


def _ledger_fits(
    entries: list[dict[str, Any]], safe: int, away: tuple[int, int], late: bool
) -> bool:
    """Whether what the device does to the stream is told exactly once.

    Parameters
    ----------
    safe : int
        Where the acknowledged samples end. Samples behind it may have been saved by the ring; what
        was said of them (but for gaps, which show) may have gone with the process.
    away : (int, int)
        Samples that passed while nobody was there.
    late : bool
        Whether the packet that was overtaken came when its place had been given up.
    """
    swapped = "late" if late else "reordered"
    for what, (a, b) in (("gap", LOST), ("duplicate", TWICE), (swapped, SWAPPED)):
        told = [(e["start"], e["stop"]) for e in entries if e["what"] == what]
        missed = safe <= b + 2 * CHUNK or (a < away[1] and away[0] < b + 2 * CHUNK)
        others = [t for t in told if t != (a, b)]
        if told.count((a, b)) > 1 or (not missed and (a, b) not in told):
            return False
        if what != "gap" and others and not missed:
            return False
    return True


def _events_fit(recording: Recording) -> bool:
    expected = []
    for a, b in recording.segments:
        codes = values(np.arange(a, b))[:, -1]
        rises = np.flatnonzero((codes[1:] > codes[:-1]) & (codes[1:] != 0)) + 1
        expected += [(a + int(r), int(codes[r])) for r in rises]
    return [(e.sample, e.code) for e in recording.events] == expected
