"""The running state of CausalIir: biquads, bridges over short stretches, masks."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.block import Block, Cause, Mask, RawBlock, good_samples
from brainforge.bridging import non_finite_masks
from brainforge.info import Info
from brainforge.kernels.iir import group_delay, sosfilt, steady_state
from brainforge.masks import masks_from_state, masks_to_state, normal_masks, true_runs
from brainforge.stages.working import InOrder, as_raw, scaled

F64 = npt.NDArray[np.float64]
#: longest impulse response that is searched for its first lobe, in seconds
_LOBE_S = 1.0


def first_lobe(sos: F64, sfreq: float) -> int:
    """Return the samples from an impulse to the first zero behind the response's peak."""
    impulse = np.zeros((max(round(_LOBE_S * sfreq), 2), 1))
    impulse[0] = 1.0
    y = sosfilt(impulse, sos, np.zeros((len(sos), 2, 1)))[:, 0]
    peak = int(np.argmax(np.abs(y)))
    crossings = np.flatnonzero(y[peak:] * np.sign(y[peak]) <= 0)
    return peak + int(crossings[0]) if len(crossings) else len(y)


class CausalIirStep:
    """`CausalIir` bound to an Info.

    ``latency`` is the longest wait: 50 ms, and only behind a sample that is masked or missing.
    """

    _filter: F64 | None
    _waiting: tuple[npt.NDArray[Any], npt.NDArray[np.bool_]] | None
    _stop: int | None
    _masks: tuple[Mask, ...]

    def __init__(
        self, source: Info, info: Info, sos: F64, *, max_bridge: int, n_threads: int
    ) -> None:
        self.source, self.info, self.sos = source, info, sos
        self.latency = max_bridge / source.sfreq
        self._longest, self._threads = max_bridge, n_threads
        self._rows = source.rows(info.names)
        self._cal = np.array([source.channel(n).working_cal for n in info.names])
        self._widen = first_lobe(sos, source.sfreq)
        self._order = InOrder(source)
        self._end_segment()

    def delay(self, freq: float) -> float:
        """Return by how many seconds the filter delays what goes on at ``freq`` Hz."""
        return float(group_delay(self.sos, [freq], self.source.sfreq)[0])

    def process(self, block: RawBlock | Block) -> list[Block]:
        """Take one block, return what is ready."""
        raw = as_raw(block)
        self._order.check(raw)
        if not raw.data.shape[1]:
            return []
        out: list[Block] = []
        if self._stop is not None and raw.start > self._stop + self._longest:
            out = self._flush()
            self._end_segment()
        masks = raw.masks + non_finite_masks(raw, self._rows)
        x = scaled(raw, self._rows, self._cal)
        good = np.ones(x.shape, dtype=bool)
        if masks:
            good = good_samples(masks, raw.info, raw.start, raw.stop)[self._rows].T
        return out + self._take(raw.start, x, good, masks)

    def finish(self) -> list[Block]:
        """Return what is left when the stream has ended."""
        out = self._flush()
        self._end_segment()
        return out

    def state(self) -> dict[str, Any]:
        """Return a checkpoint (arrays and JSON-ready values)."""
        waiting = None if self._waiting is None else [a.copy() for a in self._waiting]
        return {
            "filter": None if self._filter is None else self._filter.copy(),
            "last": self._last.copy(),
            "run": self._run.copy(),
            "stop": self._stop,
            "masks": masks_to_state(self._masks),
            "waiting": waiting,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint."""
        self._filter = None if state["filter"] is None else np.array(state["filter"])
        self._last, self._run = np.array(state["last"]), np.array(state["run"])
        self._stop = self._order.stop = state["stop"]
        self._masks = masks_from_state(state["masks"])
        self._waiting = None
        if state["waiting"] is not None:
            x, good = state["waiting"]
            self._waiting = np.array(x), np.array(good)

    def _end_segment(self) -> None:
        n = self.info.n_channels
        self._filter = None
        # the last value that went in, and since how many samples a channel has been masked
        self._last, self._run = np.full(n, np.nan), np.zeros(n, dtype=np.int64)
        self._waiting = None
        self._stop = None
        self._masks = ()

    def _take(
        self,
        start: int,
        x: npt.NDArray[Any],
        good: npt.NDArray[np.bool_],
        masks: tuple[Mask, ...],
    ) -> list[Block]:
        """Take samples (sample, channel) behind those that wait; put out what is decided."""
        begin = start if self._stop is None else self._stop
        if start > begin:
            masks += (Mask(None, begin, start, Cause.GAP),)
            x = np.concatenate([np.zeros((start - begin, x.shape[1]), x.dtype), x])
            good = np.concatenate([np.zeros((start - begin, x.shape[1]), bool), good])
        if self._waiting is not None:
            begin -= len(self._waiting[0])
            x = np.concatenate([self._waiting[0], x])
            good = np.concatenate([self._waiting[1], good])
            self._waiting = None
        self._stop = begin + len(x)
        self._note(masks)
        ready = len(x)
        if not good.all():
            x = np.array(x)
            ready -= self._bridge(x, good)
        if ready < len(x):
            self._waiting = x[ready:].copy(), good[ready:].copy()
        return self._emit(begin, x[:ready], good[:ready])

    def _bridge(self, x: npt.NDArray[Any], good: npt.NDArray[np.bool_]) -> int:
        """Fill short stretches in place, call them good; return how many samples must wait."""
        wait = 0
        for c in np.flatnonzero(~good.all(axis=0)):
            for a, b in true_runs(~good[:, c]):
                if b - a > self._longest or (a == 0 and self._run[c]):
                    continue
                if b == len(x):
                    wait = max(wait, b - a)
                    continue
                before = x[a - 1, c] if a else self._last[c]
                before = x[b, c] if np.isnan(before) else before
                x[a:b, c] = np.linspace(before, x[b, c], b - a + 2)[1:-1]
                good[a:b, c] = True
        return wait

    def _flush(self) -> list[Block]:
        """Put out what waits for the end of a masked stretch that does not come."""
        if self._waiting is None:
            return []
        x, good = self._waiting
        self._waiting = None
        assert self._stop is not None
        return self._emit(self._stop - len(x), x, good)

    def _emit(self, start: int, x: npt.NDArray[Any], good: npt.NDArray[np.bool_]) -> list[Block]:
        """Filter samples whose short stretches are filled; those still bad hold the last value."""
        if not len(x):
            return []
        anew = self._hold(x, good)
        if self._filter is None:
            self._filter = steady_state(self.sos, x[0])
        y = np.empty(x.shape, np.float32)
        at = 0
        for t in [*sorted({t for t, _ in anew}), len(x)]:
            sosfilt(x[at:t], self.sos, self._filter, out=y[at:t], n_threads=self._threads)
            for c in (c for when, c in anew if when == t):
                self._filter[:, :, c] = steady_state(self.sos, x[t, c : c + 1])[:, :, 0]
            at = t
        self._last = x[-1].astype(np.float64)
        stop = start + len(x)
        masks = normal_masks(self._masks, start, stop)
        self._masks = tuple(m for m in self._masks if m.stop > stop)
        return [Block(np.ascontiguousarray(y.T), self.info, start, masks)]

    def _hold(self, x: npt.NDArray[Any], good: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
        """Hold the last value in long stretches; return (sample, channel) where one ends."""
        anew = []
        for c in np.flatnonzero(self._run):
            if good[0, c]:
                anew.append((0, int(c)))
        whole = good.all(axis=0)
        for c in np.flatnonzero(~whole):
            for a, b in true_runs(~good[:, c]):
                x[a:b, c] = x[a - 1, c] if a else np.nan_to_num(self._last[c])
                if b < len(x):
                    anew.append((b, int(c)))
                else:
                    self._run[c] = b - a + (self._run[c] if a == 0 else 0)
        self._run[good[-1]] = 0
        return anew

    def _note(self, masks: tuple[Mask, ...]) -> None:
        """Keep masks of the channels put out, with the first lobe of the response behind them."""
        names = set(self.info.names)
        for mask in masks:
            channels = mask.channels
            if channels is not None:
                channels = tuple(n for n in channels if n in names)
            if channels != ():
                widened = Mask(channels, mask.start, mask.stop + self._widen, mask.cause)
                self._masks += (widened,)
