"""Welch spectra as a measure: sums over segments of the absolute grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from brainforge.backend import Backend
from brainforge.block import Block
from brainforge.errors import InputError
from brainforge.info import Info
from brainforge.kernels.psd import WelchPlan, welch_sums

F64 = npt.NDArray[np.float64]


@dataclass
class _Edge:
    """Samples at one end of a span, and which of them are good; axes (channel, sample)."""

    data: npt.NDArray[np.float32]
    good: npt.NDArray[np.bool_]

    @property
    def size(self) -> int:
        return self.data.shape[1]

    def cut(self, part: slice) -> _Edge:
        return _Edge(self.data[:, part].copy(), self.good[:, part].copy())

    def joined(self, other: _Edge) -> _Edge:
        return _Edge(
            np.concatenate([self.data, other.data], axis=1),
            np.concatenate([self.good, other.good], axis=1),
        )


@dataclass
class _Span:
    """What has been seen of [start, stop): its ends, for segments that reach beyond them."""

    start: int
    stop: int
    head: _Edge
    tail: _Edge


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

    Notes
    -----
    Segments start at multiples of their step on the absolute sample index, so neither the
    cutting into blocks nor the order of merging changes which there are: the samples at the
    ends of what was seen are kept until their neighbours come. A segment that touches a masked
    sample is left out for that channel; one that touches a gap for all.
    """

    def __init__(
        self,
        info: Info,
        backend: Backend,
        seg_s: float = 2.0,
        overlap: float = 0.5,
        window: str = "hann",
    ) -> None:
        if not (seg_s > 0 and 0 <= overlap < 1):
            raise InputError(
                where="spectra",
                expected="a segment length above 0 s and an overlap of 0 to below 1",
                got=f"{seg_s} s and {overlap}",
            )
        self.info, self._threads = info, backend.threads
        n = max(round(seg_s * info.sfreq), 2)
        self.plan = WelchPlan(info.sfreq, n, max(round(n * (1 - overlap)), 1), window)
        self._power = np.zeros((info.n_channels, len(self.plan.freqs)))
        self._count = np.zeros(info.n_channels, dtype=np.int64)
        self._spans: list[_Span] = []

    @property
    def n_segments(self) -> npt.NDArray[np.int64]:
        """Number of segments averaged, axes (channel,)."""
        return self._count.copy()

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
        whole = _Edge(block.data, block.good())
        self._add(block.start, whole)
        n = self.plan.n_per_seg - 1
        span = _Span(block.start, block.stop, whole.cut(slice(0, n)), whole.cut(slice(-n, None)))
        last = self._spans[-1] if self._spans else None
        if last is None:
            self._spans.append(span)
        elif last.stop == span.start:
            self._spans[-1] = self._join(last, span)
        elif last.stop < span.start:
            # A gap in a stream is never filled later: its two sides need not be kept.
            self._spans[-1] = _Span(last.start, span.stop, last.head, span.tail)
        else:
            raise InputError(
                where="spectra",
                expected=f"a block that starts at sample {last.stop} or later",
                got=f"one at {block.start}",
            )

    def merge(self, other: Self) -> None:
        """Add what another instance has seen of other samples; the order does not matter."""
        if other.plan != self.plan or other.info.names != self.info.names:
            raise InputError(
                where="spectra",
                expected=f"a measure of the same channels and segments ({self.plan})",
                got=f"{other.info.n_channels} channels, {other.plan}",
            )
        self._power += other._power
        self._count += other._count
        spans = sorted(self._spans + other._spans, key=lambda s: s.start)
        joined = spans[:1]
        for span in spans[1:]:
            if span.start < joined[-1].stop:
                raise InputError(
                    where="spectra",
                    expected="parts of a recording that do not overlap",
                    got=f"two that hold sample {span.start}",
                )
            if span.start == joined[-1].stop:
                joined[-1] = self._join(joined[-1], span)
            else:
                joined.append(span)
        self._spans = joined

    def result(self) -> tuple[F64, F64]:
        """Return frequencies in Hz and densities in unit**2 / Hz, axes (channel, frequency).

        Channels without a single good segment hold NaN.
        """
        count = np.where(self._count > 0, self._count, np.nan)
        return self.plan.freqs, self._power / count[:, None]

    def state(self) -> dict[str, Any]:
        """Return a checkpoint."""
        spans = [
            [s.start, s.stop, *(a.copy() for e in (s.head, s.tail) for a in (e.data, e.good))]
            for s in self._spans
        ]
        return {"power": self._power.copy(), "count": self._count.copy(), "spans": spans}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint."""
        self._power, self._count = np.array(state["power"]), np.array(state["count"])
        self._spans = [
            _Span(
                s[0],
                s[1],
                _Edge(np.array(s[2]), np.array(s[3])),
                _Edge(np.array(s[4]), np.array(s[5])),
            )
            for s in state["spans"]
        ]

    def _add(self, start: int, samples: _Edge, until: int | None = None) -> None:
        """Sum the segments inside some samples that start before ``until``."""
        step = self.plan.step
        first = -start % step
        stop = samples.size
        if until is not None:
            n_starts = max(-(-(until - start - first) // step), 0)
            stop = min(stop, first + (n_starts - 1) * step + self.plan.n_per_seg)
        if stop - first < self.plan.n_per_seg:
            return
        part = slice(first, stop)
        power, count = welch_sums(
            samples.data[:, part], self.plan, samples.good[:, part], n_threads=self._threads
        )
        self._power += power
        self._count += count

    def _join(self, left: _Span, right: _Span) -> _Span:
        """Join two spans that touch, and sum the segments that lie across."""
        across = left.tail.joined(right.head)
        self._add(right.start - left.tail.size, across, until=right.start)
        n = self.plan.n_per_seg - 1
        head, tail = left.head, right.tail
        if left.start + head.size == left.stop and head.size < n:
            head = head.joined(right.head).cut(slice(0, n))
        if right.stop - tail.size == right.start and tail.size < n:
            tail = left.tail.joined(tail).cut(slice(-n, None))
        return _Span(left.start, right.stop, head, tail)
