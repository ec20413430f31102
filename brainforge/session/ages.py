"""Ages: how old the newest sample in a snapshot was when it was published, as percentiles."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

#: width of a bin and number of bins: 1 ms up to 10 s, and one for all beyond
BIN_S: Final = 0.001
N_BINS: Final = 10_001


class Ages:
    """A histogram of ages; constant memory whatever the session's length."""

    def __init__(self) -> None:
        self._counts = np.zeros(N_BINS, dtype=np.int64)
        self._longest = 0.0

    def add(self, age_s: float) -> None:
        """Take one age in seconds."""
        place = min(int(max(age_s, 0.0) / BIN_S), N_BINS - 1)
        self._counts[place] += 1
        self._longest = max(self._longest, age_s)

    def percentile(self, share: float) -> float | None:
        """Return the age in seconds below which ``share`` percent lie, to a millisecond."""
        total = int(self._counts.sum())
        if not total:
            return None
        place = int(np.searchsorted(np.cumsum(self._counts), share / 100 * total))
        return min((place + 1) * BIN_S, self._longest)

    def summary(self) -> dict[str, Any]:
        """Return count, p50, p99 and the longest in milliseconds, JSON-ready."""
        p50, p99 = self.percentile(50), self.percentile(99)
        return {
            "n": int(self._counts.sum()),
            "p50_ms": None if p50 is None else 1e3 * p50,
            "p99_ms": None if p99 is None else 1e3 * p99,
            "max_ms": 1e3 * self._longest,
        }

    def state(self) -> dict[str, Any]:
        """Return a checkpoint."""
        return {"counts": self._counts.copy(), "longest": self._longest}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint."""
        self._counts, self._longest = np.array(state["counts"]), float(state["longest"])
