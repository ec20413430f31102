"""The running state of Tsss: windows that fade into each other on the grid, masks."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.block import Block, Cause, Mask, RawBlock, good_samples
from brainforge.bridging import non_finite_masks
from brainforge.info import Info
from brainforge.kernels.namespace import (
    contiguous,
    copied,
    namespace,
    to_device,
    to_host,
)
from brainforge.kernels.parallel import single_threaded_blas
from brainforge.kernels.rows import compact, take_rows
from brainforge.kernels.tsss import tsss_window
from brainforge.learners.multipole import Multipoles
from brainforge.masks import masks_from_state, masks_to_state, normal_masks, true_runs
from brainforge.regrid import Regrid
from brainforge.units import to_working


@dataclass(frozen=True)
class WindowReport:
    """What was done to a window: absolute samples, time courses taken off, if any could be."""

    start: int
    stop: int
    n_removed: int
    temporal: bool


class TsssStep:
    """`Tsss` bound to an Info.

    Windows begin at multiples of half their length. One is separated when the next is complete,
    since the last of a segment reaches to its end; its first half then goes out.
    """

    def __init__(
        self,
        source: Info,
        info: Info,
        found: Multipoles,
        window: int,
        least: int,
        correlation: float,
        n_threads: int,
    ) -> None:
        self.source, self.info, self.found = source, info, found
        self.latency = 2 * window / source.sfreq
        #: what was done so far, in order
        self.windows: list[WindowReport] = []
        self._hop, self._least = window // 2, least
        self._correlation, self._threads = correlation, n_threads
        self._regrid = Regrid(self._hop)
        self._rise = np.sin(np.pi * np.arange(self._hop) / (2 * self._hop)) ** 2
        #: samples from the current window on, and what the one before adds to its first half
        self._held: RawBlock | None = None
        self._fading: Any = None
        self._rows = source.rows(info.names)
        inside = info.rows(found.names)
        beside = np.setdiff1d(np.arange(info.n_channels), inside)
        self._model_rows, self._other_rows = inside, beside
        #: brings the model's channels, then the others, into the order of the output
        self._order = np.argsort(np.concatenate([inside, beside]))
        channels = [source.channel(n) for n in info.names]
        self._cal = np.array([c.working_cal for c in channels])[:, None]
        self._offset = np.array([c.offset * to_working(c.kind) for c in channels])[:, None]

    def process(self, block: RawBlock | Block) -> list[Block]:
        """Take one block, return what is ready."""
        pieces = self._regrid.process(self._working(block))
        return [out for piece in pieces for out in self._take(piece)]

    def finish(self) -> list[Block]:
        """Return what is left when the stream has ended."""
        out = [out for piece in self._regrid.finish() for out in self._take(piece)]
        return out + self._flush()

    def summary(self) -> dict[str, Any]:
        """Return what was done so far, JSON-ready: for the provenance."""
        return {
            "description": f"{self.found.text}; time courses shared with the residual removed.",
            **self.found.params,
            "rank": self.found.split.n_inside,
            "correlation": self._correlation,
            "window_s": 2 * self._hop / self.source.sfreq,
            "n_windows": len(self.windows),
            "n_removed_in_time": sum(w.n_removed for w in self.windows),
            "n_spatial_only": sum(not w.temporal for w in self.windows),
        }

    def state(self) -> dict[str, Any]:
        """Return a checkpoint (arrays and JSON-ready values)."""
        held = self._held
        return {
            "regrid": self._regrid.state(),
            "held": None
            if held is None
            else [_at_home(held.data), held.start, masks_to_state(held.masks)],
            "fading": None if self._fading is None else _at_home(self._fading),
            "windows": [asdict(w) for w in self.windows],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint."""
        self._regrid.restore(state["regrid"], self.info)
        self.windows = [WindowReport(**w) for w in state["windows"]]
        self._held = None
        self._fading = None if state["fading"] is None else np.array(state["fading"])
        if state["held"] is not None:
            data, start, masks = state["held"]
            self._held = RawBlock(np.array(data), self.info, start, masks_from_state(masks))

    def _working(self, block: RawBlock | Block) -> RawBlock:
        """Return a block of the signal channels in working units, non-finite samples masked."""
        masks = block.masks
        if isinstance(block, RawBlock):
            masks += non_finite_masks(block, self._rows)
            data = self._calibrated(block.data)
        else:
            # it may wait for two windows, and a source may reuse its buffer
            data = copied(take_rows(block.data, compact(self._rows)))
        names = set(self.info.names)
        kept = []
        for mask in masks:
            channels = mask.channels
            if channels is not None:
                channels = tuple(n for n in channels if n in names)
            if channels != ():
                kept.append(Mask(channels, mask.start, mask.stop, mask.cause))
        return RawBlock(data, self.info, block.start, tuple(kept))

    def _calibrated(self, data: Any) -> Any:
        """Return counts in working units: formed in float64 and rounded once."""
        counts = take_rows(data, compact(self._rows))
        if isinstance(counts, np.ndarray) and not self._offset.any():
            out = np.empty(counts.shape, dtype=np.float32)
            return np.multiply(counts, self._cal, out=out, dtype=np.float64, casting="same_kind")
        xp = namespace(counts)
        cal, offset = (to_device(v, like=counts) for v in (self._cal, self._offset))
        return xp.astype(xp.astype(counts, xp.float64) * cal + offset, xp.float32)

    def _take(self, piece: RawBlock) -> list[Block]:
        """Take half a window of the grid, or the part of one that a segment begins or ends with."""
        out: list[Block] = []
        if self._held is not None and piece.start != self._held.stop:
            out = self._flush()
        self._held = piece if self._held is None else _joined(self._held, piece)
        # a segment may begin before the first window of the grid
        begin = -(-self._held.start // self._hop) * self._hop
        if self._held.stop >= begin + 3 * self._hop:
            out += self._fade(self._held, begin)
        return out

    def _fade(self, held: RawBlock, begin: int) -> list[Block]:
        """Separate the window that begins at ``begin``, hand out its first half."""
        middle = begin + self._hop
        window = _cut(held, held.start, middle + self._hop)
        data, others, usable = self._separated(window)
        n = middle - held.start
        first = self._risen(data[:, :n])
        falling = to_device((1 - self._rise).astype(np.float32), like=data)
        self._held, self._fading = _cut(held, middle, held.stop), data[:, n:] * falling
        masks = window.masks + self._spoilt(window, usable)
        return self._blocks(self._together(first, others[:, :n]), held.start, masks)

    def _flush(self) -> list[Block]:
        """Separate the last window of a segment, which reaches to its end."""
        held, self._held = self._held, None
        if held is None:
            return []
        data, others, usable = self._separated(held)
        if self._fading is not None:
            first, rest = self._risen(data[:, : self._hop]), data[:, self._hop :]
            data = namespace(data).concat([first, rest], axis=1)
        self._fading = None
        masks = held.masks + self._spoilt(held, usable)
        return self._blocks(self._together(data, others), held.start, masks)

    def _risen(self, first: Any) -> Any:
        """Return the half in which a window rises over the one before; the first does not."""
        if self._fading is None:
            return first
        rising = to_device(self._rise.astype(np.float32), like=first)
        return first * rising + to_device(self._fading, like=first)

    def _separated(self, held: RawBlock) -> tuple[Any, Any, npt.NDArray[np.bool_]]:
        """Return the model's channels of a window after it, the others, and what is usable."""
        data = held.data
        model, others = (
            take_rows(data, compact(rows)) for rows in (self._model_rows, self._other_rows)
        )
        good = None
        if held.masks:
            everywhere = good_samples(held.masks, self.info, held.start, held.stop)
            good, believed = everywhere[self._model_rows], everywhere[self._other_rows]
            xp = namespace(data)
            others = xp.where(to_device(believed, like=data), others, xp.zeros_like(others))
        with single_threaded_blas():
            cleaned = tsss_window(
                model,
                self.found.split,
                good,
                correlation=self._correlation,
                min_samples=self._least,
                n_threads=self._threads,
            )
        report = WindowReport(held.start, held.stop, cleaned.n_removed, cleaned.temporal)
        self.windows.append(report)
        return cleaned.data, others, cleaned.usable

    def _together(self, model: Any, others: Any) -> Any:
        if not len(self._other_rows):
            return model
        both = namespace(model).concat([model, others], axis=0)
        return take_rows(both, compact(self._order))

    def _spoilt(self, held: RawBlock, usable: npt.NDArray[np.bool_]) -> tuple[Mask, ...]:
        """Return masks of all channels where too few channels are left to say anything."""
        return tuple(
            Mask(None, held.start + a, held.start + b, _cause(held, held.start + a))
            for a, b in true_runs(~usable)
        )

    def _blocks(self, data: Any, start: int, masks: tuple[Mask, ...]) -> list[Block]:
        out, at, stop = [], start, start + data.shape[1]
        while at < stop:
            end = min(stop, (at // self._hop + 1) * self._hop)
            part = contiguous(data[:, at - start : end - start])
            out.append(Block(part, self.info, at, normal_masks(masks, at, end)))
            at = end
        return out


def _joined(a: RawBlock, b: RawBlock) -> RawBlock:
    masks = normal_masks(a.masks + b.masks, a.start, b.stop)
    before = to_device(a.data, like=b.data)  # a checkpoint is kept at home
    return RawBlock(namespace(b.data).concat([before, b.data], axis=1), a.info, a.start, masks)


def _cut(held: RawBlock, start: int, stop: int) -> RawBlock:
    part = held.data[:, start - held.start : stop - held.start]
    return RawBlock(part, held.info, start, normal_masks(held.masks, start, stop))


def _at_home(array: Any) -> npt.NDArray[np.float32]:
    return np.array(to_host(array))


def _cause(held: RawBlock, at: int) -> Cause:
    return next(m.cause for m in held.masks if m.start <= at < m.stop)
