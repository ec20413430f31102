"""Cleaning: one fused matrix at every sample, another one where some channels are masked.

A projector spreads one bad sample over all channels. Where a channel is masked for a while its
value is therefore first replaced by what its neighbours say, and only then the fused operator
is applied; the channel itself stays masked. Where nothing can replace it (no geometry) the stretch
is masked in all channels that it would reach. The fused matrix is cached per set of masked
channels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.block import Block, Mask
from brainforge.info import Info
from brainforge.kernels.apply import LowRank, apply_low_rank, apply_matrix, low_rank
from brainforge.kernels.namespace import is_device, namespace, to_device
from brainforge.kernels.rows import compact, contiguous, take_rows
from brainforge.operator import Operator

#: gives the operator that replaces the named channels by what the others say
Repair = Callable[[tuple[str, ...]], Operator]


@dataclass
class _Fused:
    """A fused matrix, as identity plus low rank where it is.

    ``spreads`` says that a masked channel, which nothing could replace, gets into others;
    ``there`` is what the first block from a device has taken there.
    """

    matrix: Any
    update: LowRank | None
    spreads: bool
    there: _Fused | None = None

    def __call__(self, data: Any, n_threads: int) -> Any:
        if is_device(data):
            if self.there is None:
                self.there = self._taken(data)
            return self.there.applied(data, n_threads)
        return self.applied(data, n_threads)

    def applied(self, data: Any, n_threads: int) -> Any:
        if self.update is not None:
            return apply_low_rank(self.update, data, n_threads=n_threads)
        return apply_matrix(self.matrix, data, n_threads=n_threads)

    def _taken(self, like: Any) -> _Fused:
        if self.update is None:
            return replace(self, matrix=to_device(self.matrix, like=like))
        left, right = (to_device(part, like=like) for part in (self.update.left, self.update.right))
        return replace(self, update=LowRank(left, right))


class Cleaner:
    """Applies a fused operator to the MEG channels of working blocks.

    Parameters
    ----------
    info : Info
        Of the working copy, bad channels marked.
    fused : Operator
        Over MEG channels of ``info``.
    repair : callable
        From names of masked channels to the operator that replaces them.
    n_threads : int
    """

    def __init__(self, info: Info, fused: Operator, repair: Repair, n_threads: int = 1) -> None:
        self.info = info.pick(fused.names)
        self._rows = compact(info.rows(fused.names))
        self._fused, self._repair, self._threads = fused, repair, n_threads
        self._cache: dict[tuple[str, ...], _Fused] = {}
        self._kept = frozenset(self.info.names) - frozenset(self.info.bads)
        #: a channel that nothing is computed from may be masked without harm to others
        used = np.any(fused.matrix != 0, axis=0)
        self._harmful = {n for n, u in zip(fused.names, used) if u}

    def __call__(self, block: Block) -> Block:
        """Return the cleaned MEG channels of ``block``; masks of the channels stay.

        The result lives where the block does.
        """
        data = take_rows(block.data, self._rows)
        out, spoilt = [], []
        for lo, hi, masked in self._stretches(block):
            fused = self._with(masked)
            # contiguous pieces of a fixed block: the same numbers for any cutting of the stream
            piece = data if hi - lo == data.shape[1] else contiguous(data[:, lo:hi])
            out.append(fused(piece, self._threads))
            if fused.spreads:
                spoilt.append(_of_all(block, lo, hi, masked))
        whole = out[0] if len(out) == 1 else namespace(data).concat(out or [data], axis=1)
        return Block(whole, self.info, block.start, (*self._masks(block), *spoilt))

    def _with(self, masked: tuple[str, ...]) -> _Fused:
        """Return the fused operator behind the repair of the masked channels."""
        if masked not in self._cache:
            matrix = self._fused.matrix
            if masked:
                matrix = (self._fused @ self._repair(masked).expand(self._fused.names)).matrix
            spreads = _reaches_others(matrix, self._fused.rows(masked))
            self._cache[masked] = _Fused(matrix.astype(np.float32), low_rank(matrix), spreads)
        return self._cache[masked]

    def _harms(self, mask: Mask) -> tuple[str, ...]:
        return tuple(n for n in mask.channels or () if n in self._harmful)

    def _stretches(self, block: Block) -> Iterator[tuple[int, int, tuple[str, ...]]]:
        """Yield (start, stop, masked channels) that cover the block."""
        size = block.data.shape[1]
        local = [
            (max(m.start - block.start, 0), min(m.stop - block.start, size), self._harms(m))
            for m in block.masks
        ]
        local = [(a, b, names) for a, b, names in local if names and a < b]
        cuts = sorted({0, size, *(a for a, _, _ in local), *(b for _, b, _ in local)})
        for lo, hi in pairwise(cuts):
            hit = {n for a, b, names in local if a < hi and b > lo for n in names}
            yield lo, hi, tuple(n for n in self._fused.names if n in hit)

    def _masks(self, block: Block) -> tuple[Mask, ...]:
        """Return the masks that stay: of all channels, and of MEG channels that are not bad."""
        out = []
        for mask in block.masks:
            if mask.channels is None:
                out.append(mask)
            elif names := tuple(n for n in mask.channels if n in self._kept):
                out.append(replace(mask, channels=names))
        return tuple(out)


def _reaches_others(matrix: npt.NDArray[np.float64], columns: npt.NDArray[np.intp]) -> bool:
    """Return whether one of the channels ``columns`` gets into another one."""
    own = matrix[columns, columns]
    return bool(np.any(np.count_nonzero(matrix[:, columns], axis=0) > (own != 0)))


def _of_all(block: Block, lo: int, hi: int, masked: tuple[str, ...]) -> Mask:
    """Return a mask of all channels for a stretch, with the cause of the masks behind it."""
    start, stop = block.start + lo, block.start + hi
    behind = (
        m for m in block.masks
        if m.start < stop and m.stop > start and not set(masked).isdisjoint(m.channels or ())
    )  # fmt: skip
    return Mask(None, start, stop, next(behind).cause)
