"""How old live snapshots are, by the clock of the device that took the samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks.live_device import SFREQ
from brainforge.feed import Snapshot


@dataclass(frozen=True)
class Seen:
    """What is kept of a snapshot: its number, when it was written, and what is in it.

    ``sample`` is one past the newest; ``arrival`` is when the recorder had it.
    """

    sequence: int
    written: float
    sample: int
    arrival: float
    coverage: float


class Sight:
    """Remembers every snapshot that was seen, by topic."""

    def __init__(self) -> None:
        self.topics: dict[str, list[Seen]] = {}

    def look(self, snapshots: Mapping[str, Snapshot]) -> list[str]:
        """Note what is new; return its topics."""
        new = []
        for topic, snapshot in snapshots.items():
            meta, seen = snapshot.meta, self.topics.setdefault(topic, [])
            if "arrival" not in meta or (seen and seen[-1].sequence == snapshot.sequence):
                continue
            entry = Seen(snapshot.sequence, snapshot.written, int(meta["sample"]),
                         float(meta["arrival"]), float(meta["coverage"]))  # fmt: skip
            seen.append(entry)
            new.append(topic)
        return new

    def figures(self, begun: float, since: float = 0.0) -> dict[str, dict[str, Any]]:
        """Return ages, rate and coverage by topic, JSON-ready.

        Parameters
        ----------
        begun : float
            `time.monotonic` at which the sample of index 0 began: sample k is taken
            ``(k + 1) / SFREQ`` later.
        since : float
            Snapshots that were written before are left out.
        """
        kept = {t: [s for s in seen if s.written >= since] for t, seen in self.topics.items()}
        return {topic: _figures(seen, begun) for topic, seen in kept.items() if len(seen) > 1}


def percentiles(ages_s: Sequence[float]) -> dict[str, float]:
    """Return p50, p99 and the longest of some ages in milliseconds."""
    ms = 1e3 * np.asarray(ages_s)
    return {
        "p50_ms": float(np.percentile(ms, 50)),
        "p99_ms": float(np.percentile(ms, 99)),
        "max_ms": float(ms.max()),
    }


def _figures(seen: list[Seen], begun: float) -> dict[str, Any]:
    """Return the figures of one topic.

    ``newest`` is the age of the newest sample when the snapshot was written, ``oldest`` that of
    the oldest sample which no snapshot before had, so also the age at which what was shown till
    then was replaced; ``since_arrival`` counts from the recorder's receiving the newest.
    """
    pairs = [(a, b) for a, b in pairwise(seen) if b.sequence == a.sequence + 1]
    passed = seen[-1].written - seen[0].written
    found = {
        "n": len(seen),
        "not_looked_at": seen[-1].sequence - seen[0].sequence + 1 - len(seen),
        "rate_hz": (seen[-1].sequence - seen[0].sequence) / passed,
        "least_coverage": min(s.coverage for s in seen),
        "newest": percentiles([s.written - begun - s.sample / SFREQ for s in seen]),
        "since_arrival": percentiles([s.written - s.arrival for s in seen]),
    }
    if pairs:
        oldest = [b.written - begun - (a.sample + 1) / SFREQ for a, b in pairs]
        found["oldest"] = percentiles(oldest)
    return found
