"""The ledger of a recording: every notice of its stream, as the archive's document keeps it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

#: notices kept in full; of more, the first and the last half. The gaps among them are in the
#: archive's own list of gaps anyway, always all of them
MAX_ENTRIES: Final = 10_000


def ledger_document(entries: Iterable[dict[str, Any]], exact: bool) -> dict[str, Any]:
    """Return the JSON-ready ledger.

    Parameters
    ----------
    entries : iterable of dict
        Notices in the order they were given; each has ``what``, ``start`` and ``stop``.
    exact : bool
        Whether the account of samples rests on the device's counter.

    Returns
    -------
    ledger : dict
        ``exact``; ``counts`` (notices by kind, all of them); ``samples`` (samples that they
        cover, by kind); ``entries``; ``left_out`` (how many are not listed).
    """
    rows = list(entries)
    counts: Counter[str] = Counter(str(row["what"]) for row in rows)
    samples: Counter[str] = Counter()
    for row in rows:
        samples[str(row["what"])] += int(row["stop"]) - int(row["start"])
    left_out = max(len(rows) - MAX_ENTRIES, 0)
    if left_out:
        half = MAX_ENTRIES // 2
        rows = rows[:half] + rows[-half:]
    return {
        "exact": exact,
        "counts": dict(counts),
        "samples": dict(samples),
        "entries": rows,
        "left_out": left_out,
    }


def ledger_of(source: dict[str, Any]) -> dict[str, Any] | None:
    """Return the ledger in an archive's ``source``; None where it was not recorded here.

    Raises
    ------
    ValueError
        What is there is no ledger.
    """
    ledger = source.get("ledger")
    if ledger is None:
        return None
    try:
        rows = [
            {**row, "what": str(row["what"]), "start": int(row["start"]), "stop": int(row["stop"])}
            for row in ledger["entries"]
        ]
        counts = {str(what): int(n) for what, n in ledger["counts"].items()}
        about = {"exact": bool(ledger["exact"]), "left_out": int(ledger["left_out"])}
        return {**ledger, **about, "counts": counts, "entries": rows}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError("a ledger that is none") from error


def joined(intervals: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return intervals sorted, those that meet or overlap joined, empty ones left out."""
    out: list[tuple[int, int]] = []
    for start, stop in sorted(i for i in intervals if i[1] > i[0]):
        if out and start <= out[-1][1]:
            out[-1] = (out[-1][0], max(out[-1][1], stop))
        else:
            out.append((start, stop))
    return out
