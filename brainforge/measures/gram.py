"""Gram matrices of the working signal: one for every few seconds of the grid, and their total.

Bad channels, gain drift, whitening and reference regression are all read off these, so the
samples are multiplied once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.backend import Backend
from brainforge.block import Block
from brainforge.errors import InputError
from brainforge.info import Info
from brainforge.kernels.gram import Gram
from brainforge.kernels.namespace import namespace, to_host
from brainforge.kernels.rows import compact, take_rows
from brainforge.kernels.triangle import full, n_pairs
from brainforge.measures.gram_cells import Piece, Sums, masked_rows, summed

KINDS = ("mag", "grad", "ref_mag", "ref_grad")
#: chunks end at multiples of this many seconds; a minute has to show a drifting gain
CHUNK_S = 5.0
#: beyond this many, chunks become twice as long: memory is bounded whatever the length
MOST_CHUNKS = 120


@dataclass(frozen=True)
class GramResult:
    """Products of channels in working units, axes over ``names``.

    Parameters
    ----------
    names : tuple of str
    sfreq : float
        Working rate in Hz.
    total : Gram
        Over everything seen, float64.
    starts : int64 array, axes (chunk,)
        Absolute working sample of each chunk's first sample, in order of time.
    n_samples : int64 array, axes (chunk, channel)
        Believed samples of each channel in each chunk.
    chunks : float32 array, axes (chunk, channel, channel)
        Mean product over the samples of the chunk that both channels can be believed at; 0
        where there is none.
    """

    names: tuple[str, ...]
    sfreq: float
    total: Gram
    starts: npt.NDArray[np.int64]
    n_samples: npt.NDArray[np.int64]
    chunks: npt.NDArray[np.float32]

    @property
    def covariance(self) -> npt.NDArray[np.float64]:
        """Mean products over everything seen, axes (channel, channel)."""
        return self.total.mean()

    def coarse(self, most: int) -> GramResult:
        """Return the same with at most ``most`` chunks, neighbours averaged.

        Products of a pair are weighted by the fewer of its two channels' believed samples.
        """
        size = -(-len(self.starts) // most)
        if size <= 1:
            return self
        firsts = np.arange(0, len(self.starts), size)
        chunks = np.empty((len(firsts), *self.chunks.shape[1:]), dtype=np.float32)
        for out, first in zip(chunks, firsts):
            part = slice(first, first + size)
            n = self.n_samples[part].astype(np.float32)
            weight = np.minimum(n[:, :, None], n[:, None, :])
            total = weight.sum(axis=0)
            products = (weight * self.chunks[part]).sum(axis=0)
            np.divide(products, total, out=out, where=total > 0)
            out[total == 0] = 0.0
        n_samples = np.add.reduceat(self.n_samples, firsts, axis=0)
        return replace(self, starts=self.starts[firsts], n_samples=n_samples, chunks=chunks)

    def rows(self, names: Iterable[str]) -> npt.NDArray[np.intp]:
        """Return the positions of the named channels on the axes."""
        index = {n: i for i, n in enumerate(self.names)}
        names = tuple(names)
        unknown = [n for n in names if n not in index]
        if unknown:
            raise InputError(
                where="Gram matrix", expected="channels it holds", got=", ".join(unknown[:5])
            )
        return np.array([index[n] for n in names], dtype=np.intp)


class GramMeasure:
    """Accumulate Gram matrices of MEG and reference channels.

    Parameters
    ----------
    info : Info
        Of the working signal.
    backend : Backend
    names : iterable of str | None
        Channels; None for all magnetometers, gradiometers and references.

    Notes
    -----
    The signal is taken as it is (the working copy is high-passed), no mean is removed. A masked
    sample of a channel enters neither the sum nor the count of any pair that the channel is in;
    the other pairs keep theirs. Products are formed over cells of 5 s of the absolute grid,
    however the stream is cut; a cell that is not complete waits. Chunks are 5 s long at first
    and twice as long whenever there are more than `MOST_CHUNKS`, so neither the cutting nor the
    order of merging changes them. Merging two instances that have seen the same samples is
    refused, since these would count twice. Blocks on a device stay there, and so do the sums
    until the result is asked for.
    """

    def __init__(self, info: Info, backend: Backend, names: Iterable[str] | None = None) -> None:
        self.info = info
        self.names = info.names_of(*KINDS) if names is None else tuple(names)
        self._rows = compact(info.rows(self.names))
        self._row_of = {name: i for i, name in enumerate(self.names)}
        self._length = max(round(CHUNK_S * info.sfreq), 1)
        #: cells of a chunk
        self._cells = 1
        self._sums: dict[int, Sums] = {}
        self._seen: list[tuple[int, int]] = []
        self._waiting: dict[int, list[Piece]] = {}

    def update(self, block: Block) -> None:
        """Take one block; blocks come in order, a jump of ``start`` is a gap."""
        if not block.data.shape[1]:
            return
        self._see([(block.start, block.stop)])
        data = take_rows(block.data, self._rows)
        first, last = block.start // self._length, (block.stop - 1) // self._length
        for cell in range(first, last + 1):
            lo = max(cell * self._length, block.start)
            hi = min((cell + 1) * self._length, block.stop)
            rows, good = masked_rows(block.masks, self._row_of, lo, hi)
            piece = Piece(lo, data[:, lo - block.start : hi - block.start], rows, good)
            self._take(cell, piece)
        # a gap in a stream is never filled later; only what lies before its begin may be merged
        begin = self._seen[0][0] // self._length
        for done in [c for c in self._waiting if begin < c < first]:
            self._add(summed(self._waiting.pop(done), len(self.names)))

    def merge(self, other: GramMeasure) -> None:
        """Add what another instance has seen of other samples."""
        if other.names != self.names:
            raise InputError(
                where="merge", expected="the same channels", got=f"{len(other.names)} others"
            )
        self._see(other._seen)
        self._coarsen(other._cells)
        for sums in other._sums.values():
            self._add(sums)
        for cell, pieces in other._waiting.items():
            for piece in pieces:
                self._take(cell, piece)

    def result(self) -> GramResult:
        """Return the matrices so far, chunks in order of time."""
        whole = GramMeasure(self.info, Backend(), self.names)
        whole._cells, whole._sums = self._cells, dict(self._sums)
        for pieces in self._waiting.values():
            whole._add(summed(pieces, len(self.names)))
        parts = [whole._sums[key] for key in sorted(whole._sums)]
        n = len(self.names)
        products, counts = np.zeros(n_pairs(n)), np.zeros(n_pairs(n))
        chunks = np.empty((len(parts), n, n), dtype=np.float32)
        for chunk, part in zip(chunks, parts):
            here, pairs = to_host(part.products), part.pairs()
            products += here
            counts += pairs
            mean = np.divide(here, pairs, out=np.zeros_like(here), where=pairs > 0)
            chunk[:] = full(mean, n)
        return GramResult(
            self.names,
            self.info.sfreq,
            Gram(full(products, n), full(counts, n)),
            np.array([part.start for part in parts], dtype=np.int64),
            np.array([part.n_samples for part in parts], dtype=np.int64).reshape(-1, n),
            chunks,
        )

    def state(self, keep: Callable[[npt.NDArray[Any]], Any] = np.array) -> dict[str, Any]:
        """Return a checkpoint: numbers and arrays.

        Parameters
        ----------
        keep : callable
            Takes the large arrays of chunks that may be complete, which nobody changes any more,
            and gives what is to stand for them: as it is a copy, or their place on a shelf.
        """
        latest = max(self._sums, default=0)
        sums = {
            str(key): {
                "at": [s.start, s.plain],
                "products": (np.array if key == latest else keep)(to_host(s.products)),
                "counts": np.zeros(0)
                if s.counts is None
                else (np.array if key == latest else keep)(s.counts),
                "n_samples": s.n_samples.copy(),
            }
            for key, s in self._sums.items()
        }
        pieces = [(c, p) for c, some in self._waiting.items() for p in some]
        waiting = {
            str(i): {
                "at": [cell, p.start],
                "data": np.array(to_host(p.data)),
                "rows": p.rows.copy(),
                "good": p.good.copy(),
            }
            for i, (cell, p) in enumerate(pieces)
        }
        seen = [list(s) for s in self._seen]
        return {"cells": self._cells, "seen": seen, "sums": sums, "waiting": waiting}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint."""
        self._cells, self._seen = state["cells"], [(a, b) for a, b in state["seen"]]
        self._sums, self._waiting = {}, {}
        for key, s in state["sums"].items():
            # sums are never changed in place, so that they need no copy
            counts = s["counts"] if len(s["counts"]) else None
            products, n_samples = s["products"], np.array(s["n_samples"])
            self._sums[int(key)] = Sums(s["at"][0], products, s["at"][1], counts, n_samples)
        for i in range(len(state["waiting"])):
            p = state["waiting"][str(i)]
            cell, start = p["at"]
            rows, good = np.array(p["rows"]), np.array(p["good"])
            piece = Piece(start, np.array(p["data"]), rows, good)
            self._waiting.setdefault(cell, []).append(piece)

    def _see(self, spans: list[tuple[int, int]]) -> None:
        """Take note of [start, stop) spans, those that touch joined; refuse what was seen."""
        seen: list[tuple[int, int]] = []
        for start, stop in sorted(self._seen + spans):
            if seen and start < seen[-1][1]:
                raise InputError(
                    where="Gram matrix",
                    expected="every block once",
                    got=f"the samples from {start} on again",
                )
            if seen and start == seen[-1][1]:
                seen[-1] = (seen[-1][0], stop)
            else:
                seen.append((start, stop))
        self._seen = seen

    def _take(self, cell: int, piece: Piece) -> None:
        """Sum a cell that is complete; keep a copy of its samples where it is not."""
        pieces = [*self._waiting.pop(cell, []), piece]
        if sum(p.stop - p.start for p in pieces) == self._length:
            self._add(summed(pieces, len(self.names)))
            return
        data = namespace(piece.data).asarray(piece.data, copy=True)
        pieces[-1] = replace(piece, data=data)
        self._waiting[cell] = pieces

    def _add(self, sums: Sums) -> None:
        key = sums.start // (self._length * self._cells)
        old = self._sums.get(key)
        self._sums[key] = sums if old is None else old.merge(sums)
        while len(self._sums) > MOST_CHUNKS:
            self._coarsen(2 * self._cells)

    def _coarsen(self, cells: int) -> None:
        """Make chunks of ``cells`` cells."""
        if cells <= self._cells:
            return
        parts, self._sums, self._cells = list(self._sums.values()), {}, cells
        for part in sorted(parts, key=lambda s: s.start):
            self._add(part)
