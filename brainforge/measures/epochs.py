"""Whole epochs on the absolute grid, from blocks of any size and from measures that meet.

Epoch e covers samples [e * length, (e + 1) * length) of the absolute index. A part of an epoch
waits for the rest, whichever block or merged instance brings it.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from typing import Any, Self

import numpy as np

from brainforge.block import Block
from brainforge.errors import InputError
from brainforge.kernels.namespace import is_device, namespace, to_device, to_host

#: parts with samples that may wait at a time; beyond it the oldest is given up
_MAX_WAITING = 32


def rejected_intervals(block: Block, names: frozenset[str]) -> list[tuple[int, int]]:
    """Return the masked intervals of a block that touch any of the named channels."""
    return [
        (mask.start, mask.stop)
        for mask in block.masks
        if mask.stop > mask.start and (mask.channels is None or not names.isdisjoint(mask.channels))
    ]


class EpochCutter:
    """Cuts a stream into epochs; those that a mask or a gap touches are left out.

    Parameters
    ----------
    n_channels : int
    length : int
        Samples per epoch.
    """

    def __init__(self, n_channels: int, length: int) -> None:
        self.n_channels, self.length = n_channels, length
        self._spans: list[tuple[int, int]] = []
        self._parts: dict[int, Any] = {}
        self._rejected: set[int] = set()

    def push(self, data: Any, start: int, rejected: list[tuple[int, int]]) -> list[Any]:
        """Take samples and return the epochs that are now whole, in order.

        Parameters
        ----------
        data : float32 array, axes (channel, sample)
            Of NumPy or on a device, where its epochs stay. Whole ones inside it are views.
        start : int
            Absolute index of its first sample.
        rejected : list of (start, stop)
            Absolute intervals not to be believed.

        Raises
        ------
        InputError
            Where some of these samples came before.
        """
        stop = start + data.shape[1]
        if stop <= start:
            return []
        self._account(start, stop)
        for a, b in rejected:
            lo, hi = max(a, start), min(b, stop)
            if lo < hi:
                self._reject(range(lo // self.length, (hi - 1) // self.length + 1))
        done: dict[int, Any] = {}
        for e in range(start // self.length, (stop - 1) // self.length + 1):
            a, b = e * self.length, (e + 1) * self.length
            if e in self._rejected:
                continue
            if start <= a and b <= stop:
                done[e] = data[:, a - start : b - start]
            else:
                lo, hi = max(a, start), min(b, stop)
                self._part(e, data)[:, lo - a : hi - a] = data[:, lo - start : hi - start]
        return self._collect(done)

    def merge(self, other: Self) -> list[Any]:
        """Take the parts of another cutter and return the epochs that are now whole."""
        for start, stop in other._spans:
            self._near(start, stop)
        for start, stop in other._spans:
            self._account(start, stop)
        self._reject(other._rejected)
        for e, part in other._parts.items():
            if e not in self._rejected:
                # samples lie in one of the two and zeros in the other
                waiting = self._part(e, part)
                waiting += to_device(part, like=waiting)
        return self._collect({})

    def state(self) -> dict[str, Any]:
        """Return a checkpoint."""
        order = sorted(self._parts)
        shape = (len(order), self.n_channels, self.length)
        return {
            "spans": [list(span) for span in self._spans],
            "rejected": sorted(self._rejected),
            "part_epochs": order,
            "parts": np.array([to_host(self._parts[e]) for e in order], dtype=np.float32).reshape(
                shape
            ),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint."""
        self._spans = [(int(a), int(b)) for a, b in state["spans"]]
        self._rejected = {int(e) for e in state["rejected"]}
        parts = np.asarray(state["parts"], dtype=np.float32)
        self._parts = {int(e): part.copy() for e, part in zip(state["part_epochs"], parts)}

    def _near(self, start: int, stop: int) -> list[tuple[int, int]]:
        """Return the spans beside [start, stop); InputError where one overlaps it."""
        at = bisect_right(self._spans, (start, stop))
        near = self._spans[max(at - 1, 0) : at + 1]
        for a, b in near:
            if a < stop and start < b:
                raise InputError(
                    where="block",
                    expected="samples not seen before",
                    got=f"samples {start}-{stop}, of which {max(a, start)}-{min(b, stop)} came "
                    "before",
                )
        return near

    def _account(self, start: int, stop: int) -> None:
        """Note that [start, stop) has been seen, joining what adjoins."""
        for a, b in self._near(start, stop):
            if b == start or a == stop:
                self._spans.remove((a, b))
                start, stop = min(a, start), max(b, stop)
        insort(self._spans, (start, stop))

    def _reject(self, epochs: Any) -> None:
        for e in epochs:
            self._rejected.add(e)
            self._parts.pop(e, None)

    def _part(self, e: int, like: Any) -> Any:
        """Return the samples of an epoch that wait, where ``like`` is; zeros if there are none."""
        if e not in self._parts:
            if len(self._parts) >= _MAX_WAITING:
                self._reject([min(self._parts)])
            xp, device = namespace(like), {"device": like.device} if is_device(like) else {}
            shape = (self.n_channels, self.length)
            self._parts[e] = xp.zeros(shape, dtype=xp.float32, **device)
        elif is_device(like):
            # a checkpoint's parts are on the host
            self._parts[e] = to_device(self._parts[e], like=like)
        return self._parts[e]

    def _whole(self, e: int) -> bool:
        at = bisect_right(self._spans, (e * self.length, np.inf)) - 1
        return at >= 0 and self._spans[at][1] >= (e + 1) * self.length

    def _collect(self, done: dict[int, Any]) -> list[Any]:
        for e in [e for e in self._parts if self._whole(e)]:
            done[e] = self._parts.pop(e)
        self._rejected = {e for e in self._rejected if not self._whole(e)}
        return [done[e] for e in sorted(done)]
