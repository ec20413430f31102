"""What a measure keeps of a stretch of samples so that its neighbours can be joined later."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.kernels.namespace import namespace
from brainforge.kernels.rows import together

Index = npt.NDArray[np.int64]


@dataclass
class Edge:
    """Samples from ``start`` on, axes (channel, sample), and what is masked of them.

    ``marks`` has axes (mark, row/start/stop), in absolute samples; row -1 stands for all.
    """

    data: Any
    start: int
    marks: Index

    @property
    def stop(self) -> int:
        """Sample one past the last."""
        return self.start + int(self.data.shape[1])

    def cut(self, start: int, stop: int) -> Edge:
        """Return a copy of what lies inside [start, stop)."""
        start, stop = max(start, self.start), min(stop, self.stop)
        stop = max(start, stop)
        data = self.data[:, start - self.start : stop - self.start]
        marks = self.marks[(self.marks[:, 1] < stop) & (self.marks[:, 2] > start)]
        marks[:, 1:] = np.clip(marks[:, 1:], start, stop)
        return Edge(namespace(data).asarray(data, copy=True), start, marks)

    def joined(self, other: Edge) -> Edge:
        """Return this and what follows; samples that both hold are taken once."""
        other = other.cut(self.stop, other.stop)
        left, right = together(self.data, other.data)
        data = namespace(left).concat([left, right], axis=1)
        return Edge(data, self.start, np.concatenate([self.marks, other.marks]))


@dataclass
class Span:
    """What has been seen of [start, stop).

    The ``head`` is for segments that begin before it, the ``tail`` for those that are still
    to be summed, the first of which is number ``todo`` of the grid. ``open`` says that head
    and tail together still hold all samples.
    """

    start: int
    stop: int
    todo: int
    open: bool
    head: Edge
    tail: Edge
