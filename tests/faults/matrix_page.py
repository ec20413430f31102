"""The page of the crash matrix, made from its results."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

#: files of a recording by what they are for, in the order of its life
STAGES = (
    ("begin; live/ goes", r"\.new-|^a\.zarr$|live$|live/(header|lock|reserve)"),
    ("log: a new segment", r"live/wal$"),
    ("log: write and sync", r"live/wal/"),
    ("taking turns", r"brainforge-turns"),
    ("seal a shard: journal", r"live/sealed\.log"),
    ("seal a shard", r"counts/c"),
    ("seal a shard: ledger", r"live/ledger\.log"),
    ("end: committed counter", r"committed"),
    ("end: manifest", r"manifest"),
    ("end: metadata", r"a\.zarr/|^$"),
)
#: what becomes of a recording, in the order of the columns
HOW = ("nothing there", "repair", "takeover", "finished")
HEAD = """# Crash matrix

What is left of a recording when its recorder dies, the power goes, or the disk misbehaves. Made
by `python -m tests.faults.crash_matrix` from a real run ({date}, Linux {kernel},
{minutes:.0f} minutes); `make test-slow` runs all of it, `make test` a handful by seed. The rows
are in `tests/faults/crash_matrix.json`.

The device writes the index of each sample into a channel, and what follows from it into the
others, {channels} in all. It takes {samples} samples, loses 13 of them, sends 20 twice and swaps
two packets. The recorder seals shards of {shard} samples and syncs its log every 100 ms.
*Acknowledged* are the samples below the committed counter at the moment of death. After each
death the recording is repaired or taken over by another recorder, and then all of this must
hold, or the row is called bad:

- no acknowledged sample is missing, and those kept are an unbroken run of what the device sent;
- every value of every stored sample is what the device measured there: nothing is invented;
- `brainforge verify` finds it whole and exact, and received = stored + samples in gaps;
- each acknowledged loss, duplicate and swap is in the ledger exactly once, and each trigger;
- a recorder that takes over leaves a gap of exactly the {unbuffered} samples that the device had
  not kept.

**{n} trials, {bad} bad.**
"""
KILLS = (
    """
## SIGKILL at every system call

strace kills the recorder before the n-th call on a file, for every n that a recording has:
{n} deaths. *From the ring* are samples that had come and were not acknowledged yet: the ring is
a file in memory and outlives the process, so they are kept as well. Of files with made-up names
only the renaming counts; of the metadata, which are written anew, only calls that change it.

"""
    "| where | call | deaths | nothing yet | repaired | taken over | complete | acknowledged "
    "| from the ring | acknowledged and lost | invented | bad |\n"
    "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n"
)
CUTS = """
## Power cut at every system call

All that a recorder wrote is replayed onto a disk that forgets: up to every call, what had not
been synced by then is dropped, names in folders that were not synced included, and the ring with
it. A second disk, by a seed, keeps any part of the unsynced: single pages, torn pages, some
names. {calls} calls give {strict} different states of the first disk; {kinder} of the second
were tried. Each was repaired and compared with what was acknowledged at that moment. Bad: {bad}.
"""
TORN = """
## Torn last frame

The last frame of samples in the log is cut off, zeroed from some byte on, or one of its bits is
flipped, {n} times at places by a seed. All samples before it are kept, none of its own. Bad: {bad}.
"""
TRIALS = """
## Disks that fail, hang and fill up; a second recorder

Failures are injected into one call; after an error of fdatasync the segment is given up and all
since the last good sync is written again. A hung disk hangs for 1.5 s in one call; the ring
takes what comes meanwhile. A full disk ends the recording in order, exit code 3.

| what | exit code | acknowledged | stored | bad |
|---|--:|--:|--:|---|
"""


def stage_of(path: str) -> str:
    """Return which part of a recording's life a file belongs to."""
    for stage, pattern in STAGES:
        if re.search(pattern, path):
            return stage
    raise ValueError(path)


def _range(values: Iterable[int]) -> str:
    found = sorted(values)
    if not found:
        return "–"
    return str(found[0]) if found[0] == found[-1] else f"{found[0]}–{found[-1]}"


def _kill_rows(kills: Sequence[dict[str, Any]]) -> list[str]:
    order = [stage for stage, _ in STAGES]
    groups: dict[tuple[int, str], list[dict[str, Any]]] = {}
    for row in kills:
        point = row["point"]
        key = order.index(stage_of(point["path"])), point["call"]
        groups.setdefault(key, []).append(row)
    lines = []
    for (stage, call), rows in sorted(groups.items()):
        ends = [sum(r["how"] == how for r in rows) for how in HOW]
        live = [r for r in rows if r["how"] in ("repair", "takeover")]
        lost = sum(any("acknowledged," in p for p in r["problems"]) for r in rows)
        made = sum(any("never took" in p for p in r["problems"]) for r in rows)
        bad = sum(bool(r["problems"]) for r in rows)
        lines.append(
            f"| {order[stage]} | {call} | {len(rows)} | {' | '.join(map(str, ends))} | "
            f"{_range(r['acknowledged'] for r in live)} | "
            f"{_range(r['received'] - r['acknowledged'] for r in live)} | {lost} | {made} | {bad} |"
        )
    return lines


def _trial_rows(trials: Sequence[dict[str, Any]]) -> list[str]:
    return [
        f"| {t['fault']} | {t['status']} | {t['acknowledged'] or '–'} | {t['stored'] or '–'} | "
        f"{'; '.join(t['problems']) or 'no'} |"
        for t in trials
    ]


def to_page(results: dict[str, Any]) -> str:
    """Return the page, in Markdown."""
    kills, cuts, trials, torn = (results[k] for k in ("kills", "cuts", "trials", "torn"))
    bad = sum(bool(row["problems"]) for row in [*kills, *trials, *torn]) + len(cuts["bad"])
    n = len(kills) + cuts["strict"] + cuts["kinder"] + len(trials) + len(torn)
    head = HEAD.format(
        **results["device"], date=results["date"], kernel=results["kernel"],
        minutes=results["seconds"] / 60, n=n, bad=bad,
    )  # fmt: skip
    return "".join(
        [
            head,
            KILLS.format(n=len(kills)),
            "\n".join(_kill_rows(kills)) + "\n",
            CUTS.format(**{**cuts, "bad": len(cuts["bad"])}),
            TORN.format(n=len(torn), bad=sum(bool(t["problems"]) for t in torn)),
            TRIALS,
            "\n".join(_trial_rows(trials)) + "\n",
        ]
    )
