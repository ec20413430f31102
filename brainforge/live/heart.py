"""HeartRate: beats a minute from the last seconds of an ECG channel or of the heart's field."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from brainforge.kernels.heartbeat import WINDOW, find_heartbeats
from brainforge.live.recent import Recent

#: seconds that are looked at
WINDOW_S = 12.0
#: share of them that has to be believed
LEAST = 0.8
#: beats are looked for at about this rate: enough for a QRS complex
RATE_HZ = 120.0


@dataclass(frozen=True)
class Heart:
    """The heart of the moment.

    Parameters
    ----------
    rate_per_min : float | None
        None where it is not to be believed: nothing seen yet, or what beats is no heart.
    source : str
        Channel, or "MEG"; empty where there is none.
    stop : int
        Absolute source sample one past the last that was looked at.
    """

    rate_per_min: float | None = None
    source: str = ""
    stop: int = 0


class HeartRate:
    """Beats a minute from a trace at the working rate.

    Parameters
    ----------
    sfreq : float
        Of the trace.
    """

    def __init__(self, sfreq: float) -> None:
        self._step = max(int(sfreq / RATE_HZ), 1)
        self._sfreq = sfreq
        #: what the beats are looked for in; whoever has the samples puts them there
        self.trace = Recent(1, round(WINDOW_S * sfreq))
        self.last = Heart()

    def look(self, source: str, stop: int) -> Heart:
        """Look for beats in the last seconds; ``stop`` is told as the newest source sample."""
        rate = None
        if source and self.trace.stop is not None:
            end = self.trace.stop
            x, good = self.trace.window(end - self.trace.size, end)
            first = int(np.argmax(good[0])) if good.any() else self.trace.size
            x, good = x[0, first :: self._step], good[0, first :: self._step]
            least = WINDOW * self._sfreq / self._step
            if len(x) >= 2 * least and good.mean() >= LEAST:
                beats = find_heartbeats(np.where(good, x, 0.0), self._sfreq / self._step)
                rate = beats.rate_per_min if beats.plausible else None
        self.last = Heart(rate, source, stop)
        return self.last

    def forget(self) -> None:
        """Begin anew, with another trace."""
        self.trace = Recent(1, self.trace.size)

    def state(self) -> dict[str, Any]:
        """Return a checkpoint."""
        last = [self.last.rate_per_min, self.last.source, self.last.stop]
        return {"trace": self.trace.state(), "last": last}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint."""
        self.trace.restore(state["trace"])
        self.last = Heart(*state["last"])
