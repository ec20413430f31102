"""The parts of `GramMeasure`: pieces of a cell as they come, and their sums."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.block import Mask
from brainforge.kernels.gram import gram_upper, pair_counts
from brainforge.kernels.namespace import namespace
from brainforge.kernels.rows import together

Index = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Piece:
    """Samples of the picked channels from ``start`` on, and which of some rows to believe."""

    start: int
    data: Any
    rows: Index
    good: npt.NDArray[np.bool_]

    @property
    def stop(self) -> int:
        """Sample one past the last."""
        return self.start + int(self.data.shape[1])


@dataclass(frozen=True)
class Sums:
    """Packed sums of products from sample ``start`` on.

    ``plain`` samples are believed in all channels; ``counts`` has those of each pair in the
    rest, packed, or is None without a mask. ``n_samples`` counts them for each channel.
    """

    start: int
    products: Any
    plain: int
    counts: npt.NDArray[np.float64] | None
    n_samples: Index

    def merge(self, other: Sums) -> Sums:
        """Return the sums of both."""
        mine, theirs = together(self.products, other.products)
        counts = [c for c in (self.counts, other.counts) if c is not None]
        return Sums(
            min(self.start, other.start),
            mine + theirs,
            self.plain + other.plain,
            sum(counts[1:], counts[0]) if counts else None,
            self.n_samples + other.n_samples,
        )

    def pairs(self) -> npt.NDArray[np.float64]:
        """Return the number of samples behind each packed product."""
        if self.counts is None:
            return np.full(self.products.shape, float(self.plain))
        return self.counts + self.plain


def summed(pieces: list[Piece], n: int) -> Sums:
    """Return the sums of one cell's pieces, in order of time."""
    pieces = sorted(pieces, key=lambda p: p.start)
    sizes = [p.stop - p.start for p in pieces]
    data = pieces[0].data
    if len(pieces) > 1:
        parts = together(*(p.data for p in pieces))
        data = namespace(*parts).concat(parts, axis=1)
    rows = np.unique(np.concatenate([p.rows for p in pieces]))
    size = sum(sizes)
    if not len(rows):
        n_samples = np.full(n, size, dtype=np.int64)
        return Sums(pieces[0].start, gram_upper(data), size, None, n_samples)
    good = np.ones((len(rows), size), dtype=bool)
    for piece, at in zip(pieces, np.cumsum([0, *sizes])):
        good[np.searchsorted(rows, piece.rows), at : at + piece.good.shape[1]] = piece.good
    n_samples = np.full(n, size, dtype=np.int64)
    n_samples[rows] = np.count_nonzero(good, axis=1)
    counts = pair_counts(good, rows, n)
    return Sums(pieces[0].start, gram_upper(data, good, rows), 0, counts, n_samples)


def masked_rows(
    masks: tuple[Mask, ...], row_of: Mapping[str, int], lo: int, hi: int
) -> tuple[Index, npt.NDArray[np.bool_]]:
    """Return the rows that hold masked samples of [lo, hi), and which of theirs are good."""
    spans: dict[int, list[slice]] = {}
    for mask in masks:
        a, b = max(mask.start, lo), min(mask.stop, hi)
        if a >= b:
            continue
        for name in row_of if mask.channels is None else mask.channels:
            row = row_of.get(name)
            if row is not None:
                spans.setdefault(row, []).append(slice(a - lo, b - lo))
    rows = np.array(sorted(spans), dtype=np.int64)
    good = np.ones((len(rows), hi - lo), dtype=bool)
    for believed, row in zip(good, rows.tolist()):
        for span in spans[row]:
            believed[span] = False
    return rows, good
