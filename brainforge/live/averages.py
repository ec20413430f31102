"""LockedAverages: the mean signal around triggers, condition by condition, as they come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.live.recent import Recent
from brainforge.recording import Event

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
#: seconds behind the end of an epoch within which a marker may still come late
LATE_S = 1.0
#: epochs added in one block at most: what else is complete waits for the next ones, and is
#: missed where it waits for too long, so that a noisy trigger line stops nobody
AT_ONCE = 4
#: conditions that are counted; a line of noise has more
MOST_COUNTED = 1000

Key = tuple[str, int]


@dataclass(frozen=True)
class Averages:
    """What `LockedAverages` has so far.

    Parameters
    ----------
    conditions : tuple of (str, int)
        Channel and code.
    times : float64 array, axes (lag,)
        Seconds from the trigger to what the sensors saw.
    n_epochs : tuple of int
        Epochs of each condition.
    data : float32 array, axes (condition, channel, lag)
        Mean over the samples that could be believed, baseline taken off; NaN where there is
        none.
    coverage : float
        Share of the epochs' channel-samples that could be believed; 1 without epochs.
    """

    conditions: tuple[Key, ...]
    times: F64
    n_epochs: tuple[int, ...]
    data: F32
    coverage: float


class LockedAverages:
    """Sums of stretches of a signal around events.

    Parameters
    ----------
    n_channels : int
    sfreq : float
    step : int
        Samples from one lag to the next: a stretch is decimated from its trigger on, so that
        no time is lost between the trigger and the grid.
    tmin, tmax : float
        Seconds around the trigger; the mean before it is taken off, epoch by epoch.
    delay : int
        Samples by which the signal comes later than what it shows; taken off.
    most : int
        Conditions that are averaged; others are counted only.

    Notes
    -----
    A sample that is masked in a channel counts in no average of that channel; the rest of the
    epoch does.
    """

    def __init__(
        self,
        n_channels: int,
        sfreq: float,
        *,
        step: int,
        tmin: float,
        tmax: float,
        delay: int,
        most: int,
    ) -> None:
        first = -int(-tmin * sfreq / step) * step
        self._lags = np.arange(first, round(tmax * sfreq) + 1, step)
        self._step, self._delay, self._most = step, delay, most
        self._sfreq, self._n = sfreq, n_channels
        self.times = self._lags / sfreq
        self._baseline = int(np.searchsorted(self._lags, 0))
        #: samples that have to be looked back at
        self.reach = int(self._lags[-1] - self._lags[0]) + 1 + round(LATE_S * sfreq)
        self._pending: list[Event] = []
        self._sums: dict[Key, F64] = {}
        self._counts: dict[Key, npt.NDArray[np.int32]] = {}
        self._ready: dict[Key, tuple[F32, int]] = {}
        #: epochs by condition, those of conditions beyond the most included
        self.n_epochs: dict[Key, int] = {}
        #: events that came too late for their samples, or too many at a time
        self.missed = 0

    def add(self, event: Event) -> None:
        """Take note of an event, before its epoch is over or soon after."""
        self._pending.append(event)

    def update(self, recent: Recent) -> None:
        """Add the epochs that are complete in what has come."""
        if not self._pending or recent.stop is None:
            return
        stop = recent.stop
        waiting = sorted(self._pending, key=lambda e: (e.sample, e.channel, e.code))
        self._pending, added = [], 0
        for event in waiting:
            if self._last(event) >= stop or added == AT_ONCE:
                self._pending.append(event)
            elif self._begin(event) < stop - recent.size or not self._counts_in(event):
                self.missed += 1
            else:
                added += self._epoch(event, recent)

    def result(self) -> Averages:
        """Return the averages so far."""
        keys = tuple(sorted(self._sums))
        data = np.empty((len(keys), self._n, len(self._lags)), np.float32)
        believed, all_of = 0, 0
        for i, key in enumerate(keys):
            if key not in self._ready:  # an epoch has come since it was last asked for
                n = self._counts[key]
                mean = np.full(n.shape, np.nan, np.float32)
                np.divide(self._sums[key], n, out=mean, where=n > 0, casting="same_kind")
                self._ready[key] = mean, int(n.sum())
            data[i], n_believed = self._ready[key]
            believed += n_believed
            all_of += self.n_epochs[key] * data[i].size
        n_epochs = tuple(self.n_epochs[k] for k in keys)
        return Averages(keys, self.times, n_epochs, data, believed / all_of if all_of else 1.0)

    def state(self) -> dict[str, Any]:
        """Return a checkpoint."""
        return {
            "pending": [[e.sample, e.code, e.channel] for e in self._pending],
            "sums": [[*k, v.copy(), self._counts[k].copy()] for k, v in self._sums.items()],
            "epochs": [[*k, n] for k, n in self.n_epochs.items()],
            "missed": self.missed,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint."""
        self._pending = [Event(*e) for e in state["pending"]]
        self._sums = {(c, k): np.array(v) for c, k, v, _ in state["sums"]}
        self._counts = {(c, k): np.array(n) for c, k, _, n in state["sums"]}
        self.n_epochs = {(c, k): n for c, k, n in state["epochs"]}
        self._ready = {}
        self.missed = state["missed"]

    def _last(self, event: Event) -> int:
        return event.sample + self._delay + int(self._lags[-1])

    def _begin(self, event: Event) -> int:
        return event.sample + self._delay + int(self._lags[0])

    def _counts_in(self, event: Event) -> bool:
        return (event.channel, event.code) in self.n_epochs or len(self.n_epochs) < MOST_COUNTED

    def _epoch(self, event: Event, recent: Recent) -> int:
        """Add an event's stretch; return 1 where that was any work."""
        key = (event.channel, event.code)
        self.n_epochs[key] = self.n_epochs.get(key, 0) + 1
        if key not in self._sums:
            if len(self._sums) >= self._most:
                return 0
            shape = self._n, len(self._lags)
            self._sums[key] = np.zeros(shape)
            self._counts[key] = np.zeros(shape, np.int32)
        data, good = recent.window(self._begin(event), self._last(event) + 1)
        data, good = data[:, :: self._step], good[:, :: self._step]
        before = good[:, : self._baseline]
        total = np.where(before, data[:, : self._baseline], 0).sum(axis=1, dtype=np.float64)
        level = total / np.maximum(before.sum(axis=1), 1)
        self._sums[key] += np.where(good, data - level[:, None], 0.0)
        self._counts[key] += good
        self._ready.pop(key, None)
        return 1
