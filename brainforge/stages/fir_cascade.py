"""The two filters of a decimation, fed one continuous segment piece by piece."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.bridging import reflect
from brainforge.kernels.decimate import decimate, polyphase
from brainforge.kernels.namespace import (
    contiguous,
    empty,
    is_device,
    namespace,
    to_device,
    to_host,
)
from brainforge.kernels.overlap_save import FirPlan, overlap_save
from brainforge.kernels.two_stage import TwoStage
from brainforge.stages.counts import Counts, write_rows

F32 = npt.NDArray[np.float32]


class FirCascade:
    """First stage on arrival, second stage whenever a cell of the output grid is complete.

    Parameters
    ----------
    design : TwoStage
    cell : int
        Outputs of a cell of the absolute grid.
    scale : float64 array, axes (channel,)
        Working units per count.
    n_threads : int
    """

    def __init__(
        self, design: TwoStage, cell: int, scale: npt.NDArray[np.float64], n_threads: int
    ) -> None:
        self._design, self._cell, self._n_threads = design, cell, n_threads
        self._scale = scale
        self._phases = polyphase(design.h1, design.k)
        self._plan = FirPlan(design.h2, cell)
        self._c1 = len(design.h1) // 2
        self._reset()

    def _reset(self) -> None:
        n = len(self._scale)
        self.running = False
        self._offset = np.zeros(n)
        # counts: the last ones for the reflection at the end, the last few as float32 for the
        # outputs that span two pieces
        self._history: npt.NDArray[Any] = np.zeros((n, 0))
        self._tail: F32 = np.zeros((n, 0), np.float32)
        self._stop = 0  # source sample after the last one fed
        self._next_in = 0  # next output of the first stage
        self._next_out = 0  # next output of the second stage
        self._last_out: int | None = None  # one past the segment's last output, once known
        self._buffer: F32 = np.zeros((n, 0), np.float32)  # outputs of the first stage
        self._spare: F32 = self._buffer  # takes turns with it
        self._filled = 0

    def begin(self, start: int, counts: Counts, offset: npt.NDArray[np.float64]) -> None:
        """Start a segment at source sample ``start``, continued to the left by reflection.

        ``counts`` holds its first samples, more than half the filter where the segment has them.
        """
        self._reset()
        self._settle(counts.data)
        reach = self._design.half_length
        self.running, self._offset = True, offset
        self._next_out = -(-start // self._design.k)
        self._next_in = self._next_out - self._plan.half
        head = _less(counts.take(slice(reach + 1)), offset)
        left = contiguous(reflect(head[:, ::-1], reach)[:, ::-1])
        self._stop = start - reach
        self._filter_counts(Counts.whole(left), np.zeros(left.shape[0]))

    def feed(self, counts: Counts) -> None:
        """Take the next counts of the segment."""
        self._settle(counts.data)
        self._filter_counts(counts, self._offset)
        keep = self._design.half_length + 1
        latest = counts.take(slice(-keep, None))
        missing = keep - latest.shape[1]
        if missing > 0 and self._history.shape[1]:
            latest = _behind(self._history, missing, latest)
        self._history = latest

    def end(self) -> None:
        """Finish the segment, continued to the right by reflection."""
        self._last_out = -(-self._stop // self._design.k)
        right = reflect(_less(self._history, self._offset), self._design.half_length)
        self._filter_counts(Counts.whole(contiguous(right)), np.zeros(right.shape[0]))

    def ready(self) -> list[tuple[int, F32]]:
        """Return the outputs of complete cells as (first output sample, array)."""
        out = []
        while self.running:
            stop = (self._next_out // self._cell + 1) * self._cell
            if self._last_out is not None:
                stop = min(stop, self._last_out)
            begin = self._next_in - self._filled  # output sample of the buffer's first column
            if stop <= self._next_out or stop + self._plan.half > self._next_in:
                break
            window = self._buffer[
                :, self._next_out - self._plan.half - begin : stop + self._plan.half - begin
            ]
            out.append(
                (self._next_out, overlap_save(window, self._plan, n_threads=self._n_threads))
            )
            self._next_out = stop
        if self._last_out is not None and self._next_out >= self._last_out:
            self.running = False
        return out

    def state(self) -> dict[str, Any]:
        """Return a checkpoint."""
        return {
            "running": self.running,
            "offset": self._offset.copy(),
            "history": np.array(to_host(self._history)),
            "tail": np.array(to_host(self._tail)),
            "buffer": np.array(to_host(self._buffer[:, self._used : self._filled])),
            "at": [self._stop, self._next_in, self._next_out],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint."""
        self._reset()
        self.running = bool(state["running"])
        self._offset = np.array(state["offset"])
        self._history, self._tail = np.array(state["history"]), np.array(state["tail"])
        self._buffer = np.array(state["buffer"])
        self._filled = self._buffer.shape[1]
        self._stop, self._next_in, self._next_out = state["at"]

    def _filter_counts(self, counts: Counts, offset: npt.NDArray[np.float64]) -> None:
        """Append to the buffer the outputs of the first stage that ``counts`` complete."""
        k, c1 = self._design.k, self._c1
        start, stop = self._stop, self._stop + counts.n_samples
        end = (stop - 1 - c1) // k + 1
        inside = max(-(-(start + c1) // k), self._next_in)
        n_joint = min(inside, end) - self._next_in
        n_inside = end - inside
        self._make_room(max(end - self._next_in, 0))
        joint = self._tail
        if c1:
            near = _less(counts.take(slice(2 * c1)), offset)
            joint = namespace(near).concat([self._tail, near], axis=1)
        if n_joint > 0:
            first = self._next_in * k - c1 - (start - self._tail.shape[1])
            self._decimate(Counts.whole(joint), 0.0, n_joint, first)
        if n_inside > 0:
            self._decimate(counts, offset, n_inside, inside * k - c1 - start)
        if c1:
            if counts.n_samples >= 2 * c1:
                self._tail = _less(counts.take(slice(-2 * c1, None)), offset)
            else:
                self._tail = joint[:, max(joint.shape[1] - 2 * c1, 0) :]
        self._stop = stop

    def _decimate(self, counts: Counts, offset: Any, n_out: int, first: int) -> None:
        options: dict[str, Any] = {"first": first, "n_threads": self._n_threads}
        decimate(
            counts.data,
            self._phases,
            n_out,
            rows=counts.rows,
            offset=offset,
            scale=self._scale,
            out=self._buffer,
            at=self._filled,
            **options,
        )
        if len(touched := counts.touched):
            # rows do not influence each other, so what these had before is of no account
            patched = decimate(
                counts.patch,
                self._phases,
                n_out,
                offset=offset[touched],
                scale=self._scale[touched],
                **options,
            )
            write_rows(self._buffer[:, self._filled : self._filled + n_out], touched, patched)
        self._filled += n_out
        self._next_in += n_out

    @property
    def _used(self) -> int:
        """Columns at the buffer's beginning that no later output needs."""
        used = self._next_out - self._plan.half - (self._next_in - self._filled)
        return min(max(used, 0), self._filled)

    def _make_room(self, n: int) -> None:
        """Drop what no later output needs and see to ``n`` free columns."""
        if self._filled + n <= self._buffer.shape[1]:
            return
        used = self._used
        left = self._filled - used
        old, target = self._buffer, self._spare
        if left + n > target.shape[1] or is_device(old) != is_device(target):
            target = empty((old.shape[0], left + n + self._cell), "float32", like=old)
        # to another buffer: within one a copy may read what it has written already
        target[:, :left] = old[:, used : self._filled]
        self._buffer, self._spare = target, old
        self._filled = left

    def _settle(self, like: Any) -> None:
        """Move what is kept to where the counts live: once, after a start or a restore."""
        if is_device(like) and not is_device(self._tail):
            self._tail, self._history = to_device(self._tail, like), to_device(self._history, like)
            self._buffer = to_device(self._buffer, like)


def _behind(history: Any, n: int, latest: Any) -> Any:
    """Return the latest counts behind the last ``n`` of what came before them."""
    xp = namespace(latest)
    before = history[:, max(history.shape[1] - n, 0) :]
    return xp.concat([xp.astype(before, latest.dtype), latest], axis=1)


def _less(counts: Any, offset: npt.NDArray[np.float64]) -> Any:
    """Return counts less the offset, as the decimator sees them."""
    xp = namespace(counts)
    wide = xp.astype(counts, xp.float64) - to_device(offset[:, None], like=counts)
    return xp.astype(wide, xp.float32)
