"""Gram matrices of the working signal: one for every 5 s of the grid, and their total.

Bad channels, gain drift, whitening and reference regression are all read off these, so the
samples are multiplied once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.backend import Backend
from brainforge.block import Block
from brainforge.errors import InputError
from brainforge.info import Info
from brainforge.kernels.gram import Gram, gram

KINDS = ("mag", "grad", "ref_mag", "ref_grad")
#: chunks end at multiples of this many seconds; a minute has to show a drifting gain
CHUNK_S = 5.0


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
    the other pairs keep theirs. Chunks end where blocks do and at multiples of 5 s: merging two
    instances that have seen the same block is refused, since its samples would count twice.
    """

    def __init__(self, info: Info, backend: Backend, names: Iterable[str] | None = None) -> None:
        self.info = info
        self.names = info.names_of(*KINDS) if names is None else tuple(names)
        self._rows = info.rows(self.names)
        self._length = max(round(CHUNK_S * info.sfreq), 1)
        n = len(self.names)
        self._total = Gram(np.zeros((n, n)), np.zeros((n, n)))
        self._chunks: dict[int, tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]] = {}

    def update(self, block: Block) -> None:
        """Take one block of the grid."""
        if not block.data.shape[1]:
            return
        if block.start in self._chunks:
            raise _twice(block.start)
        data = block.data[self._rows]
        good = block.good()[self._rows] if block.masks else None
        at = block.start
        while at < block.stop:
            end = min((at // self._length + 1) * self._length, block.stop)
            piece = slice(at - block.start, end - block.start)
            part = gram(data[:, piece], None if good is None else good[:, piece])
            self._total = self._total.merge(part)
            n_samples = np.diagonal(part.counts).astype(np.int64)
            self._chunks[at] = (n_samples, part.mean().astype(np.float32))
            at = end

    def merge(self, other: GramMeasure) -> None:
        """Add what another instance has seen of other blocks."""
        if other.names != self.names:
            raise InputError(
                where="merge", expected="the same channels", got=f"{len(other.names)} others"
            )
        for start in other._chunks:
            if start in self._chunks:
                raise _twice(start)
        self._total = self._total.merge(other._total)
        self._chunks |= other._chunks

    def result(self) -> GramResult:
        """Return the matrices so far, chunks in order of time."""
        starts = sorted(self._chunks)
        n = len(self.names)
        chunks = np.empty((len(starts), n, n), dtype=np.float32)
        n_samples = np.empty((len(starts), n), dtype=np.int64)
        for i, start in enumerate(starts):
            n_samples[i], chunks[i] = self._chunks[start]
        at = np.array(starts, dtype=np.int64)
        return GramResult(self.names, self.info.sfreq, self._total, at, n_samples, chunks)

    def state(self) -> dict[str, Any]:
        """Return a checkpoint: arrays only."""
        result = self.result()
        return {
            "sums": result.total.sums,
            "counts": result.total.counts,
            "starts": result.starts,
            "n_samples": result.n_samples,
            "chunks": result.chunks,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint."""
        self._total = Gram(np.asarray(state["sums"]), np.asarray(state["counts"]))
        self._chunks = {
            int(start): (np.asarray(n), np.asarray(chunk))
            for start, n, chunk in zip(state["starts"], state["n_samples"], state["chunks"])
        }


def _twice(start: int) -> InputError:
    return InputError(
        where="Gram matrix", expected="every block once", got=f"the block at {start} again"
    )
