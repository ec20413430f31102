"""Front: raw pieces in, judged, cut to one grid, filtered: working blocks out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.backend import Backend
from brainforge.block import Block, Cause, Mask, RawBlock
from brainforge.info import Info
from brainforge.measures.raw_quality import RawQualityMeasure
from brainforge.recipe import LiveRecipe
from brainforge.regrid import Regrid
from brainforge.stages.iir import CausalIir

#: length of a block of the live grid in seconds, at most: 20 snapshots a second
HOP_S = 0.05
#: a channel that has given one and the same value for so long is as good as railed
FLAT_S = 1.0
#: by what goes on at this frequency the filter's delay is told
DELAY_HZ = 10.0
#: what the mains may be
MAINS_HZ = (50.0, 60.0)


class Front:
    """Everything before the operator, over all signal channels.

    Parameters
    ----------
    live : LiveRecipe
    info : Info
        Of the source.
    backend : Backend

    Notes
    -----
    Pieces are first cut to blocks that end at multiples of `HOP_S` on the absolute sample
    index: all that follows gives the same numbers for any cutting of the stream.
    """

    def __init__(self, live: LiveRecipe, info: Info, backend: Backend) -> None:
        #: samples of a block of the grid
        self.hop = max(int(HOP_S * info.sfreq + 1e-9), 1)
        self.stage = _filter(live, info)
        self._source, self._grid = info, Regrid(self.hop)
        self._quality = RawQualityMeasure(info, backend)
        self._step = self.stage.bind(info, backend)
        self.info = self._step.info
        #: seconds by which the filter delays what goes on at `DELAY_HZ`
        self.delay = self._step.delay(DELAY_HZ)
        self._flat = np.zeros(self.info.n_channels, np.int64)
        self._value = np.full(self.info.n_channels, np.nan)
        self._longest = round(FLAT_S * info.sfreq)

    def process(self, raw: RawBlock) -> list[Block]:
        """Take one piece of any size, return what is ready."""
        return [b for cell in self._grid.process(raw) for b in self._take(cell)]

    def describe(self) -> str:
        """Return what the filter does, in words."""
        low, high = self.info.highpass, self.info.lowpass
        line, notches = self.stage.line_freq, ""
        if line:
            notches = f", notches at multiples of {line:g} Hz"
        elif self.stage.notch:
            notches = ", notches at multiples of 50 and 60 Hz, the mains being unknown"
        return (
            f"Causal {low:g}-{high:g} Hz (Butterworth, order 4){notches}; delays "
            f"{DELAY_HZ:g} Hz by {1e3 * self.delay:.1f} ms."
        )

    def state(self) -> dict[str, Any]:
        """Return a checkpoint."""
        return {
            "grid": self._grid.state(),
            "filter": self._step.state(),
            "flat": self._flat.copy(),
            "value": self._value.copy(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint."""
        self._grid.restore(state["grid"], self._source)
        self._step.restore(state["filter"])
        self._flat, self._value = np.array(state["flat"]), np.array(state["value"])

    def _take(self, cell: RawBlock) -> list[Block]:
        low, high = self._quality.extremes(cell)
        masks = cell.masks + self._quality.quick_masks(cell, low, high)
        masks += self._flat_masks(cell, low, high)
        return self._step.process(replace(cell, masks=masks) if masks else cell)

    def _flat_masks(
        self, cell: RawBlock, low: npt.NDArray[Any], high: npt.NDArray[Any]
    ) -> tuple[Mask, ...]:
        """Return masks for channels that have given one value for too long."""
        same = low == high
        self._flat = np.where(same & (low == self._value), self._flat, 0)
        if not same.any():
            self._value[:] = np.nan
            return ()
        self._flat = np.where(same, self._flat + cell.data.shape[1], 0)
        self._value = np.where(same, low, np.nan).astype(np.float64)
        names = tuple(self.info.names[i] for i in np.flatnonzero(self._flat >= self._longest))
        return (Mask(names, cell.start, cell.stop, Cause.RAILED),) if names else ()


def _filter(live: LiveRecipe, info: Info) -> CausalIir:
    """Return the filter; where the mains' frequency is not known both are notched."""
    if not live.notch:
        return CausalIir(live.l_freq, live.h_freq, notch=())
    if info.line_freq is not None:
        return CausalIir(live.l_freq, live.h_freq, info.line_freq or None)
    top = min(2 * live.h_freq, 0.9 * info.sfreq / 2)
    both = {line * n for line in MAINS_HZ for n in range(1, int(top / line) + 1)}
    return CausalIir(live.l_freq, live.h_freq, notch=tuple(sorted(both)))
