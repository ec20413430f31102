"""Muscle activity over time: windows of raw samples scored at 110-140 Hz before decimation."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt

from brainforge.backend import Backend
from brainforge.block import RawBlock, good_samples
from brainforge.errors import InputError
from brainforge.info import Info
from brainforge.kernels.muscle import muscle_plan, muscle_score, window_amplitude
from brainforge.result import Interval
from brainforge.units import MEG_KINDS

#: summed z-score above which a window counts as muscle (the default of MNE's
#: ``annotate_muscle_zscore`` examples is 5 for magnetometers)
THRESHOLD = 5.0
#: quiet stretches shorter than this many seconds between two bursts belong to them
JOIN_S = 0.3


class MuscleMeasure:
    """Accumulate the muscle amplitude of all good MEG channels, window by window.

    Parameters
    ----------
    info : Info
        Of the source. Where 140 Hz does not fit below its Nyquist rate the measure abstains:
        nothing is found.
    backend : Backend

    Notes
    -----
    Windows of about 0.1 s lie on the absolute grid. A window needs half a filter of samples on
    both sides (about 85 ms); those at the ends of a stretch that lack them are not judged. A
    window that a masked sample reaches is not judged for that channel.
    """

    def __init__(self, info: Info, backend: Backend) -> None:
        self.info = info
        self.plan = muscle_plan(info.sfreq)
        self._names = info.names_of(*MEG_KINDS, bads=False)
        self._rows = info.rows(self._names)
        self._scale = np.array([info.channel(n).working_cal for n in self._names])
        self._threads = backend.threads
        self._tail: npt.NDArray[Any] | None = None
        self._tail_good: npt.NDArray[np.bool_] | None = None
        self._tail_start = 0
        self._amplitude: dict[int, npt.NDArray[np.float32]] = {}

    def update(self, block: RawBlock) -> None:
        """Take the next block."""
        if self.plan is None or not len(self._rows):
            return
        data, good, start = self._joined(block)
        plan = self.plan
        first = -(-(start + plan.half) // plan.window)
        ahead = plan.reach - plan.half
        last = (start + data.shape[1] - ahead) // plan.window
        n = last - first + 1
        if n > 0:
            column = first * plan.window - plan.half - start
            offset = data[:, column : column + plan.reach].mean(axis=1)
            found = window_amplitude(
                data, plan, n, first=column, offset=np.nan_to_num(offset), scale=self._scale,
                n_threads=self._threads,
            )  # fmt: skip
            if not good.all():
                found[~self._windows_good(good, column, n)] = np.nan
            self._amplitude[first] = found
        self._keep(data, good, start, last + 1 if n > 0 else first)

    def _joined(self, block: RawBlock) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_], int]:
        """Return the block behind what is left of the one before, where they are continuous."""
        data = block.data[self._rows]
        good = good_samples(block.masks, self.info, block.start, block.stop)[self._rows]
        if data.dtype.kind == "f":
            good &= np.isfinite(data)
        if self._tail is None or self._tail_start + self._tail.shape[1] != block.start:
            return data, good, block.start
        assert self._tail_good is not None
        joined = np.concatenate([self._tail, data], axis=1)
        return joined, np.concatenate([self._tail_good, good], axis=1), self._tail_start

    def _windows_good(
        self, good: npt.NDArray[np.bool_], column: int, n: int
    ) -> npt.NDArray[np.bool_]:
        assert self.plan is not None
        bad = np.zeros((len(good), good.shape[1] + 1), dtype=np.int64)
        np.cumsum(~good, axis=1, out=bad[:, 1:])
        starts = column + np.arange(n) * self.plan.window
        return bad[:, starts + self.plan.reach] == bad[:, starts]

    def _keep(
        self, data: npt.NDArray[Any], good: npt.NDArray[np.bool_], start: int, window: int
    ) -> None:
        """Keep the samples that the windows from ``window`` on depend on."""
        assert self.plan is not None
        column = max(window * self.plan.window - self.plan.half - start, 0)
        self._tail, self._tail_good = data[:, column:].copy(), good[:, column:].copy()
        self._tail_start = start + column

    def merge(self, other: Self) -> None:
        """Add what another instance has seen of other stretches.

        The windows across the seam of two instances are not judged by either.
        """
        if other._names != self._names:
            raise InputError(where="merge", expected="the same channels", got="others")
        self._amplitude |= other._amplitude

    def score(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """Return the first source sample of every window, and its summed z-score."""
        if not self._amplitude or self.plan is None:
            return np.zeros(0, np.int64), np.zeros(0)
        firsts = sorted(self._amplitude)
        at = [f + np.arange(self._amplitude[f].shape[1]) for f in firsts]
        amplitude = np.concatenate([self._amplitude[f] for f in firsts], axis=1)
        return np.concatenate(at) * self.plan.window, muscle_score(amplitude)

    def result(self, first_sample: int = 0) -> tuple[Interval, ...]:
        """Return the stretches of muscle activity, in seconds from ``first_sample``."""
        starts, score = self.score()
        if self.plan is None or not len(starts):
            return ()
        sfreq = self.info.sfreq
        spans: list[list[int]] = []
        for start in starts[np.nan_to_num(score, nan=0.0) > THRESHOLD]:
            stop = int(start) + self.plan.window
            if spans and start - spans[-1][1] <= JOIN_S * sfreq:
                spans[-1][1] = stop
            else:
                spans.append([int(start), stop])
        return tuple(
            Interval((a - first_sample) / sfreq, (b - first_sample) / sfreq, "muscle")
            for a, b in spans
        )

    def state(self) -> dict[str, Any]:
        """Return a checkpoint."""
        return {
            "amplitude": {k: v.copy() for k, v in self._amplitude.items()},
            "tail": None if self._tail is None else self._tail.copy(),
            "tail_good": None if self._tail_good is None else self._tail_good.copy(),
            "tail_start": self._tail_start,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint."""
        self._amplitude = {int(k): np.array(v) for k, v in state["amplitude"].items()}
        self._tail, self._tail_good = state["tail"], state["tail_good"]
        self._tail_start = state["tail_start"]
