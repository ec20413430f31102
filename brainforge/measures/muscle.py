"""Muscle activity as a measure on raw blocks: which stretches of a recording are full of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from brainforge.backend import Backend
from brainforge.block import RawBlock, good_samples
from brainforge.bridging import non_finite_masks
from brainforge.errors import InputError
from brainforge.info import Info
from brainforge.kernels.muscle import muscle_plan, muscle_score, window_amplitude
from brainforge.kernels.namespace import copied, namespace, rows_of, to_host
from brainforge.masks import (
    bad_samples,
    masks_from_state,
    masks_to_state,
    normal_masks,
    true_runs,
)
from brainforge.result import Interval
from brainforge.shelf import Shelf, Shelved
from brainforge.units import MEG_KINDS

F64 = npt.NDArray[np.float64]
_JOIN_S = 0.1  # intervals this close are one


class MuscleMeasure:
    """Accumulate the amplitude at 110-140 Hz of the MEG channels in windows of 0.1 s.

    Parameters
    ----------
    info : Info
        Of the source blocks. Channels marked bad are left out.
    backend : Backend
    threshold : float
        Summed z-score above which a window is muscle.
    shelf : Shelf | None
        Where the amplitudes are put (12 kB a second of 306 channels); None for the memory.

    Notes
    -----
    At rates below 290 Hz there is no room for the band: the measure abstains and finds
    nothing (``abstains``). Windows that touch a masked sample are left out for that channel.
    """

    def __init__(
        self, info: Info, backend: Backend, threshold: float = 4.0, shelf: Shelf | None = None
    ) -> None:
        self.info, self.threshold, self._threads = info, threshold, backend.threads
        self._shelf = shelf
        self.names = info.names_of(*MEG_KINDS, bads=False)
        self._rows = info.rows(self.names)
        self._channels = {name: i for i, name in enumerate(self.names)}
        self._scale = np.array([info.channel(n).working_cal for n in self.names])
        self._plan = muscle_plan(info.sfreq) if self.names else None
        self._offset = np.full(len(self.names), np.nan)  # counts; a channel's first good sample
        self._found: dict[int, npt.NDArray[np.float32] | Shelved] = {}
        self._carry: RawBlock | None = None
        self._next = -(2**62)
        self._start: int | None = None

    @property
    def abstains(self) -> bool:
        """Whether the sampling rate leaves no room for the muscle band."""
        return self._plan is None

    def update(self, block: RawBlock) -> None:
        """Take one block; blocks come in order, a jump of ``start`` is a gap."""
        if block.info.names != self.info.names:
            raise InputError(
                where="muscle",
                expected=f"the {self.info.n_channels} channels it was made for",
                got=f"{block.info.n_channels} channels of other names or another order",
            )
        if self._plan is None or not block.data.shape[1]:
            return
        self._start = block.start if self._start is None else min(self._start, block.start)
        block = replace(block, masks=block.masks + non_finite_masks(block, self._rows))
        self._find_offset(block)
        overlap = self._plan.reach + self._plan.window
        carry, joint = self._carry, None
        if carry is not None and carry.stop == block.start:
            head = block.data[:, : min(overlap, block.data.shape[1])]
            data = namespace(head).concat([carry.data, head], axis=1)
            joint = RawBlock(data, self.info, carry.start, carry.masks + block.masks)
            self._measure(joint, until=block.start)
        self._measure(block, until=block.stop)
        source = block if joint is None or block.data.shape[1] >= overlap else joint
        data = copied(source.data[:, max(source.data.shape[1] - overlap, 0) :])
        start = source.stop - data.shape[1]
        masks = normal_masks(source.masks, start, source.stop)
        self._carry = RawBlock(data, self.info, start, masks)

    def merge(self, other: Self) -> None:
        """Add what another instance has seen; windows across two parts stay out."""
        if other.names != self.names or other.info.sfreq != self.info.sfreq:
            raise InputError(
                where="muscle", expected="the same channels and rate", got="others to merge"
            )
        self._found.update(other._found)
        starts = [s for s in (self._start, other._start) if s is not None]
        self._start = min(starts, default=None)

    def score(self) -> tuple[F64, F64]:
        """Return the start of every window in seconds from the first sample, and its z-score."""
        if self._plan is None or not self._found:
            return np.zeros(0), np.zeros(0)
        firsts = sorted(self._found)
        amplitude = np.concatenate([self._found[w] for w in firsts], axis=1)
        windows = np.concatenate([w + np.arange(self._found[w].shape[1]) for w in firsts])
        assert self._start is not None
        times = (windows * self._plan.window - self._start) / self.info.sfreq
        return times, muscle_score(amplitude)

    def result(self) -> tuple[Interval, ...]:
        """Return the stretches full of muscle activity, in seconds from the first sample."""
        times, score = self.score()
        if self._plan is None or not len(times):
            return ()
        length = self._plan.window / self.info.sfreq
        found: list[tuple[float, float]] = []
        for a, b in true_runs(np.nan_to_num(score) > self.threshold):
            start, stop = float(times[a]), float(times[b - 1]) + length
            if found and start - found[-1][1] <= _JOIN_S + 1e-9:
                start = found.pop()[0]
            found.append((start, stop))
        return tuple(Interval(start, stop, "muscle") for start, stop in found)

    def state(self) -> dict[str, Any]:
        """Return a checkpoint."""
        carry = self._carry
        return {
            "found": {
                str(w): a.state() if isinstance(a, Shelved) else a.copy()
                for w, a in self._found.items()
            },
            "carry": None
            if carry is None
            else [np.array(to_host(carry.data)), carry.start, masks_to_state(carry.masks)],
            "offset": self._offset.copy(),
            "at": [self._next, self._start],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint, on the same shelf where there was one."""
        self._found = {
            int(w): self._shelf.at(a) if self._shelf and isinstance(a, dict) else np.array(a)
            for w, a in state["found"].items()
        }
        self._carry = None
        if state["carry"] is not None:
            data, start, masks = state["carry"]
            self._carry = RawBlock(np.array(data), self.info, start, masks_from_state(masks))
        self._offset = np.array(state["offset"])
        self._next, self._start = state["at"]

    def _find_offset(self, block: RawBlock) -> None:
        missing = np.flatnonzero(np.isnan(self._offset))
        if not len(missing):
            return
        rows = self._rows[missing]
        good = good_samples(block.masks, self.info, block.start, block.stop)[rows]
        first = good.argmax(axis=1)
        columns, at = np.unique(first, return_inverse=True)
        some = to_host(rows_of(block.data.T, columns))  # few columns, at most one a channel
        self._offset[missing] = np.where(good.any(axis=1), some[at, rows], np.nan)

    def _measure(self, block: RawBlock, until: int) -> None:
        """Take the windows that a block holds whole and whose reach begins before ``until``."""
        plan = self._plan
        assert plan is not None
        begin = max(-(-(block.start + plan.half) // plan.window), self._next)
        first = begin * plan.window - plan.half
        end = (block.stop - plan.reach + plan.half) // plan.window + 1
        end = min(end, -(-(until + plan.half) // plan.window))
        if end <= begin:
            return
        found = window_amplitude(
            block.data,
            plan,
            end - begin,
            first=first - block.start,
            rows=self._rows,
            offset=np.nan_to_num(self._offset),
            scale=self._scale,
            n_threads=self._threads,
        )
        amplitude = to_host(found)  # small: ten windows a second
        rows, bad = bad_samples(block, self._channels)
        if len(rows):
            n_bad = np.zeros((len(rows), bad.shape[1] + 1), dtype=np.int32)
            np.cumsum(bad, axis=1, out=n_bad[:, 1:])
            at = first - block.start + np.arange(end - begin) * plan.window
            hit = n_bad[:, at + plan.reach] > n_bad[:, at]
            amplitude[rows] = np.where(hit, np.nan, amplitude[rows])
        self._found[begin] = amplitude if self._shelf is None else self._shelf.put(amplitude)
        self._next = end
