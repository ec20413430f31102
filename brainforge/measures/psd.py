"""Welch spectra as a measure: sums over segments of the absolute grid."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from brainforge.backend import Backend
from brainforge.block import Block
from brainforge.errors import InputError
from brainforge.info import Info
from brainforge.kernels.namespace import to_host
from brainforge.kernels.psd import WelchPlan, folded
from brainforge.kernels.rows import together
from brainforge.kernels.running_power import RunningPower
from brainforge.measures.spans import Edge, Span

F64 = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]


class WelchMeasure:
    """Accumulate the power spectral density of every channel.

    Parameters
    ----------
    info : Info
        Of the blocks; their channels must be the same, in the same order.
    backend : Backend
    seg_s : float
        Length of a segment in seconds.
    overlap : float
        Share of a segment that the next one covers again, 0 to below 1.
    window : str
        ``"hann"`` or ``"hamming"``.
    names : iterable of str | None
        Channels to measure, in order; None for all.

    Notes
    -----
    Segments start at multiples of their step on the absolute sample index, so neither the
    cutting into blocks nor the order of merging changes which there are: the samples at the
    ends of what was seen are kept until their neighbours come. A segment that touches a masked
    sample is left out for that channel; one that touches a gap for all. Blocks on a device stay
    there, their sums too until the result is asked for.
    """

    def __init__(
        self,
        info: Info,
        backend: Backend,
        seg_s: float = 2.0,
        overlap: float = 0.5,
        window: str = "hann",
        names: Iterable[str] | None = None,
    ) -> None:
        if not (seg_s > 0 and 0 <= overlap < 1):
            raise InputError(
                where="spectra",
                expected="a segment length above 0 s and an overlap of 0 to below 1",
                got=f"{seg_s} s and {overlap}",
            )
        self.info, self._threads = info, backend.threads
        self.names = info.names if names is None else tuple(names)
        self._rows = np.asarray(info.rows(self.names), dtype=np.int64)
        self._row_of = {name: i for i, name in enumerate(self.names)}
        n = max(round(seg_s * info.sfreq), 2)
        self.plan = WelchPlan(info.sfreq, n, max(round(n * (1 - overlap)), 1), window)
        self._power = RunningPower(self.plan, len(self.names))
        self._count = np.zeros(len(self.names), dtype=np.int64)
        self._spans: list[Span] = []

    @property
    def n_segments(self) -> Index:
        """Number of segments averaged, axes (channel,)."""
        return self._finished()[1]

    def update(self, block: Block) -> None:
        """Take one block; blocks come in order, a jump of ``start`` is a gap."""
        if block.info.names != self.info.names:
            raise InputError(
                where="spectra",
                expected=f"the {self.info.n_channels} channels it was made for",
                got=f"{block.info.n_channels} channels of other names or another order",
            )
        if not block.data.shape[1]:
            return
        at = sum(span.start <= block.start for span in self._spans)
        left = self._spans[at - 1] if at else None
        right = self._spans[at] if at < len(self._spans) else None
        if (left and block.start < left.stop) or (right and block.stop > right.start):
            raise InputError(
                where="spectra",
                expected=f"a block that starts at sample {self._spans[-1].stop} or later",
                got=f"one at {block.start}",
            )
        span = self._after(left, Edge(block.data, block.start, self._marks(block)))
        touches = right is not None and right.start == span.stop
        if right is not None and touches:
            span = self._joined(span, right)
        self._spans[max(at - 1, 0) : at + touches] = [span]

    def merge(self, other: Self) -> None:
        """Add what another instance has seen of other samples; the order does not matter."""
        if other.plan != self.plan or (other.info.names, other.names) != (
            self.info.names,
            self.names,
        ):
            raise InputError(
                where="spectra",
                expected=f"a measure of the same channels and segments ({self.plan})",
                got=f"{other.info.n_channels} channels, {other.plan}",
            )
        spans = sorted(self._spans + other._spans, key=lambda s: s.start)
        for left, right in pairwise(spans):
            if right.start < left.stop:
                raise InputError(
                    where="spectra",
                    expected="parts of a recording that do not overlap",
                    got=f"two that hold sample {right.start}",
                )
        self._power.merge(other._power)
        self._count = self._count + other._count
        joined = spans[:1]
        for span in spans[1:]:
            if span.start == joined[-1].stop:
                joined[-1] = self._joined(joined[-1], span)
            else:
                joined.append(span)
        self._spans = joined

    def result(self) -> tuple[F64, F64]:
        """Return frequencies in Hz and densities in unit**2 / Hz, axes (channel, frequency).

        Channels without a single good segment hold NaN.
        """
        power, count = self._finished()
        per = np.where(count > 0, count, np.nan)
        return self.plan.freqs, folded(power.sums(), self.plan) / per[:, None]

    def state(self) -> dict[str, Any]:
        """Return a checkpoint: numbers and arrays."""
        spans = {
            str(i): {
                "at": [s.start, s.stop, s.todo, int(s.open), s.head.start, s.tail.start],
                "head": np.array(to_host(s.head.data)),
                "head_marks": s.head.marks.copy(),
                "tail": np.array(to_host(s.tail.data)),
                "tail_marks": s.tail.marks.copy(),
            }
            for i, s in enumerate(self._spans)
        }
        return {"power": self._power.sums(), "count": self._count.copy(), "spans": spans}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint."""
        self._power = RunningPower(self.plan, len(self.names))
        self._power.set(state["power"])
        self._count = np.array(state["count"])
        self._spans = []
        for i in range(len(state["spans"])):
            s = state["spans"][str(i)]
            start, stop, todo, is_open, head_at, tail_at = s["at"]
            head = Edge(np.array(s["head"]), head_at, np.array(s["head_marks"]))
            tail = Edge(np.array(s["tail"]), tail_at, np.array(s["tail_marks"]))
            self._spans.append(Span(start, stop, todo, bool(is_open), head, tail))

    def _marks(self, block: Block) -> Index:
        """Return the masks of a block by row, inside the block."""
        marks = []
        for mask in block.masks:
            start, stop = max(mask.start, block.start), min(mask.stop, block.stop)
            if start < stop:
                names = mask.channels
                rows = [-1] if names is None else [self._row_of.get(n) for n in names]
                marks += [(row, start, stop) for row in rows if row is not None]
        return np.array(marks, dtype=np.int64).reshape(-1, 3)

    def _last_whole(self, stop: int) -> int:
        """Return the number of the last segment that ends by ``stop``."""
        return (stop - self.plan.n_per_seg) // self.plan.step

    def _after(self, left: Span | None, new: Edge) -> Span:
        """Return the span of new samples in a stream, behind what was seen before."""
        if left is not None and left.stop == new.start:
            return self._continued(left, new)
        todo = -(-new.start // self.plan.step)
        nothing = new.cut(new.start, new.start)
        span = self._continued(Span(new.start, new.start, todo, True, nothing, nothing), new)
        if left is None:
            return span
        # A gap in a stream is never filled later: its two sides need not be kept.
        self._sum(left.tail, left.todo, self._last_whole(left.stop))
        return Span(left.start, span.stop, span.todo, False, left.head, span.tail)

    def _continued(self, span: Span, new: Edge) -> Span:
        """Sum the segments that new samples complete, but for the first half of a last pair."""
        last = self._last_whole(new.stop)
        if last % 2 == 0:
            last -= 1
        todo = max(span.todo, last + 1)
        self._sum(span.tail, span.todo, last, new)
        keep_from = min(max(todo * self.plan.step, span.start), new.stop)
        if keep_from >= new.start:
            tail = new.cut(keep_from, new.stop)
        else:
            tail = span.tail.cut(keep_from, new.start).joined(new)
        head, n_head = span.head, self.plan.n_per_seg - 1
        if span.open and head.stop - head.start < n_head and head.stop == span.stop:
            head = head.joined(new.cut(new.start, span.start + n_head))
        still = span.open and todo == span.todo
        return Span(span.start, new.stop, todo, still, head, tail)

    def _joined(self, left: Span, right: Span) -> Span:
        """Join two spans that touch, and sum the segments that lie across."""
        if right.open:
            return self._continued(left, right.head.joined(right.tail))
        first = -(-right.start // self.plan.step)
        last = min(self._last_whole(right.head.stop), first - 1)
        self._sum(left.tail, left.todo, last, right.head)
        head, n_head = left.head, self.plan.n_per_seg - 1
        if left.open and head.stop - head.start < n_head and head.stop == left.stop:
            head = head.joined(right.head).cut(left.start, left.start + n_head)
        return Span(left.start, right.stop, right.todo, False, head, right.tail)

    def _keep(self, marks: Index, begin: int, end: int) -> npt.NDArray[np.bool_]:
        """Return which segments ``begin`` to ``end`` are free of marks, axes (row, segment)."""
        n, step = self.plan.n_per_seg, self.plan.step
        keep = np.ones((len(self.names), end - begin), dtype=bool)
        for row, start, stop in marks.tolist():
            lo, hi = (start - n) // step + 1 - begin, -(-stop // step) - begin
            keep[row if row >= 0 else slice(None), max(lo, 0) : max(hi, 0)] = False
        return keep

    def _sum(self, old: Edge, first: int, last: int, new: Edge | None = None) -> None:
        self._count = self._count + self._add(self._power, old, first, last, new)

    def _add(
        self, power: RunningPower, old: Edge, first: int, last: int, new: Edge | None = None
    ) -> Index:
        """Add segments ``first`` to ``last`` to sums; return how many there were."""
        if last < first:
            return np.zeros(len(self.names), dtype=np.int64)
        if new is None:
            new = old
            before, marks = old.data[:, :0], old.marks
        else:
            before, marks = old.data, np.concatenate([old.marks, new.marks])
        # pairs begin at even numbers: one that begins at an odd one has only its second half
        begin = first - first % 2
        keep = self._keep(marks, begin, last + 1)
        keep[:, : first - begin] = False
        data, before = together(new.data, before)
        power.add(
            data,
            keep,
            rows=self._rows,
            first=begin * self.plan.step - new.start,
            before=before,
            n_threads=self._threads,
        )
        return keep.sum(axis=1)

    def _finished(self) -> tuple[RunningPower, Index]:
        """Return sums and counts with the segments that wait for the other half of their pair."""
        power, count = self._power.copy(), self._count
        for span in self._spans:
            last = self._last_whole(span.stop)
            count = count + self._add(power, span.tail, span.todo, last)
        return power, count
