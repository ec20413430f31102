"""What the converter gave: railed, flat and non-finite samples, judged at the full rate.

This is done before anything is filtered, because a filter smears one bad sample over its whole
length and a projector spreads it over all channels.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.backend import Backend
from brainforge.block import Cause, Mask, RawBlock
from brainforge.errors import InputError
from brainforge.info import Info
from brainforge.kernels.namespace import to_host
from brainforge.kernels.raw_statistics import (
    RAIL_MIN,
    RawStatistics,
    clipped,
    intervals,
    rail_intervals,
    raw_statistics,
)
from brainforge.kernels.rows import compact, take_rows
from brainforge.units import SIGNAL_KINDS

#: railed or non-finite stretches closer than this many seconds are masked as one
JOIN_SECONDS = 0.01

Index = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True)
class RawQuality:
    """Raw statistics over ``names``; counts of the source, at its own rate ``sfreq``."""

    names: tuple[str, ...]
    sfreq: float
    statistics: RawStatistics

    def share(self, what: str) -> npt.NDArray[np.float64]:
        """Return the share (0..1) of samples that are ``railed`` or ``non_finite``, (channel,)."""
        s = self.statistics
        return getattr(s, what) / np.maximum(s.n + s.non_finite, 1)


class RawQualityMeasure:
    """Accumulate raw statistics of all signal channels.

    Parameters
    ----------
    info : Info
        Of the source; ``Channel.rails`` are used where known.
    backend : Backend

    Notes
    -----
    Samples that already carry a mask are not looked at. A flat run across two blocks counts as
    two: feed blocks of the pipeline's grid.
    """

    def __init__(self, info: Info, backend: Backend) -> None:
        self.info = info
        self.names = info.names_of(*SIGNAL_KINDS)
        self._rows = info.rows(self.names)
        self._threads = backend.threads
        nan = (np.nan, np.nan)
        self._rails = np.array([c.rails or nan for c in info.channels]).reshape(-1, 2)
        self._statistics = RawStatistics.empty(info.n_channels)
        rails, self._picked = self._rails[self._rows], compact(self._rows)
        unknown = ~np.isfinite(rails).all(axis=1)
        self._unknown = np.flatnonzero(unknown)
        self._known = np.where(unknown[:, None], [-np.inf, np.inf], rails)

    def update(self, block: RawBlock) -> None:
        """Take one block."""
        self.judge(block)

    def judge(self, block: RawBlock) -> tuple[Mask, ...]:
        """Take one block and return the masks it deserves, as `rail_masks` does."""
        statistics = self._look(block)
        self._statistics = self._statistics.merge(statistics)
        return self._masks(block, statistics)

    def rail_masks(self, block: RawBlock) -> tuple[Mask, ...]:
        """Return masks for the railed and the non-finite stretches of a block.

        They are in absolute source samples, one channel each, to be put on the block before it
        is filtered. Stretches at most 10 ms apart become one.
        """
        return self._masks(block, self._look(block))

    def _look(self, block: RawBlock) -> RawStatistics:
        if block.info.names != self.info.names:
            raise InputError(
                where="raw quality",
                expected=f"the {self.info.n_channels} channels it was made for",
                got=f"{block.info.n_channels} channels of other names or another order",
            )
        data = block.data
        return raw_statistics(data, self._rails, self._stretches(block), n_threads=self._threads)

    def _stretches(self, block: RawBlock) -> npt.NDArray[np.int64]:
        """Return (channel, start, stop) of what no mask touches."""
        rows, size = self._rows, block.data.shape[1]
        if not block.masks:
            return np.column_stack([rows, np.zeros_like(rows), np.full_like(rows, size)])
        good = np.ones((self.info.n_channels, size), dtype=bool)
        for mask in block.masks:
            lo, hi = max(mask.start - block.start, 0), max(mask.stop - block.start, 0)
            hit = slice(None) if mask.channels is None else self.info.rows(mask.channels)
            good[hit, lo:hi] = False
        parts = [(row, a, b) for row in rows for a, b in intervals(good[row])]
        return np.array(parts, dtype=np.int64).reshape(-1, 3)

    def extremes(self, block: RawBlock) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Return the lowest and the highest sample of the signal channels of a host's block."""
        x = take_rows(block.data, self._picked)
        return x.min(axis=1), x.max(axis=1)

    def quick_masks(
        self, block: RawBlock, low: npt.NDArray[Any], high: npt.NDArray[Any]
    ) -> tuple[Mask, ...]:
        """Return what `rail_masks` would of a block without masks, given its `extremes`.

        For blocks of a fraction of a second: it looks closely at those channels only that may
        deserve a mask.
        """
        with np.errstate(invalid="ignore"):
            suspect = (low <= self._known[:, 0]) | (high >= self._known[:, 1])
            if low.dtype.kind == "f":
                suspect |= ~np.isfinite(low) | ~np.isfinite(high)
        if len(other := self._unknown):
            x = take_rows(block.data, self._picked)[other]
            at_edge = (x == low[other, None]) | (x == high[other, None])
            suspect[other[np.count_nonzero(at_edge, axis=1) >= RAIL_MIN]] = True
        if not suspect.any():
            return ()
        rows = self._rows[suspect]
        one = np.ones(self.info.n_channels, np.int64)
        return self._masks_of(block, rows, one, one)

    def _masks(self, block: RawBlock, statistics: RawStatistics) -> tuple[Mask, ...]:
        non_finite, railed = statistics.non_finite, statistics.railed
        rows = self._rows[(non_finite + railed)[self._rows] > 0]
        return self._masks_of(block, rows, non_finite, railed)

    def _masks_of(
        self, block: RawBlock, rows: Index, non_finite: Index, railed: Index
    ) -> tuple[Mask, ...]:
        """Return the masks of some channels, of the causes that there is some of, (channel,)."""
        join = round(JOIN_SECONDS * self.info.sfreq)
        masks = []
        for row in rows:
            samples = to_host(block.data[int(row), :])
            found = []
            if non_finite[row]:
                found.append((Cause.NON_FINITE, intervals(~np.isfinite(samples), join)))
            if railed[row]:
                found.append((Cause.RAILED, self._rail_intervals(row, samples, join)))
            masks += [
                Mask((self.info.names[row],), block.start + int(a), block.start + int(b), cause)
                for cause, pieces in found
                for a, b in pieces
            ]
        return tuple(masks)

    def _rail_intervals(
        self, row: int, samples: npt.NDArray[Any], join: int
    ) -> npt.NDArray[np.int64]:
        low, high = self._rails[row]
        known = bool(np.isfinite(low + high))
        if not known:
            finite = samples[np.isfinite(samples)]
            at_low, at_high = clipped(finite) if finite.size else (0, 0)
            low = finite.min() if at_low else -np.inf
            high = finite.max() if at_high else np.inf
        return rail_intervals(samples, low, high, known=known, join=join)

    def merge(self, other: RawQualityMeasure) -> None:
        """Add what another instance has seen."""
        self._statistics = self._statistics.merge(other._statistics)

    def result(self) -> RawQuality:
        """Return the statistics so far, over the signal channels."""
        picked = {
            f.name: getattr(self._statistics, f.name)[self._rows] for f in fields(RawStatistics)
        }
        return RawQuality(self.names, self.info.sfreq, RawStatistics(**picked))

    def state(self) -> dict[str, Any]:
        """Return a checkpoint: one array for each statistic, axes (channel,)."""
        return {f.name: getattr(self._statistics, f.name).copy() for f in fields(RawStatistics)}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint."""
        self._statistics = RawStatistics(**{k: np.asarray(v) for k, v in state.items()})
