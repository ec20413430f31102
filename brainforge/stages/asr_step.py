"""The running state of Asr: hops that wait for the window ahead of them, calibration."""

from __future__ import annotations

from collections import deque
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from brainforge.block import Block, Mask, RawBlock
from brainforge.errors import InputError, KernelInputError
from brainforge.info import Info
from brainforge.kernels.asr import AsrState, Removal, asr_assess, asr_remove
from brainforge.kernels.asr_fit import AsrModel, asr_calibrate
from brainforge.masks import masks_from_state, masks_to_state
from brainforge.stages.cells import Cells, bridged, judged, masks_of
from brainforge.stages.iir import MAX_BRIDGE_S
from brainforge.stages.working import as_raw

if TYPE_CHECKING:
    from brainforge.stages.asr import Asr

F32 = npt.NDArray[np.float32]
#: a hop of which less than this share can be believed teaches nothing
_BELIEVED = 0.9


class AsrStep:
    """`Asr` bound to an Info.

    ``latency``: a sample waits for the end of its hop and for the hops ahead.
    """

    _window: AsrState | None
    _left: npt.NDArray[Any] | None
    _waiting: deque[tuple[F32, int, tuple[Mask, ...]]]

    def __init__(self, stage: Asr, source: Info, info: Info, hop: int, ahead: int) -> None:
        self.source, self.info = source, info
        self.latency = (1 + ahead) * hop / source.sfreq
        #: what was learned; None before
        self.model: AsrModel | None = None
        self._stage, self._hop, self._ahead = stage, hop, ahead
        self._rows, self._names = source.rows(info.names), frozenset(info.names)
        self._cal = np.array([source.channel(n).working_cal for n in info.names])
        self._longest = round(MAX_BRIDGE_S * source.sfreq)
        self._cells = Cells(source, hop, self._longest)
        self._lessons: list[F32] = []
        self._begin_stretch()

    @property
    def rank(self) -> int:
        """Directions taken off at present."""
        return self._before.rank

    def adopt(self, model: AsrModel) -> None:
        """Clean from now on by what was learned elsewhere, on the same channels."""
        if len(model.scale) != self.info.n_channels:
            raise InputError(
                where="model",
                expected=f"one of {self.info.n_channels} channels",
                got=f"{len(model.scale)}",
            )
        self.model, self._lessons = model, []
        self._window = AsrState.empty(model, self._hop)

    def process(self, block: RawBlock | Block) -> list[Block]:
        """Take one block, return what is ready."""
        return [b for c in self._cells.process(as_raw(block)) for b in self._take(c)]

    def finish(self) -> list[Block]:
        """Return what is left when the stream has ended."""
        return [b for c in self._cells.finish() for b in self._take(c)]

    def state(self) -> dict[str, Any]:
        """Return a checkpoint (arrays and JSON-ready values)."""
        return {
            "cells": self._cells.state(),
            "model": None if self.model is None else asdict(self.model),
            "window": None if self._window is None else asdict(self._window),
            "lessons": [x.copy() for x in self._lessons],
            "before": asdict(self._before),
            "left": None if self._left is None else self._left.copy(),
            "waiting": [[x.copy(), start, masks_to_state(m)] for x, start, m in self._waiting],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint."""
        self._cells.restore(state["cells"])
        self.model = None if state["model"] is None else AsrModel(**state["model"])
        window = state["window"]
        self._window = None if window is None else AsrState(**_copied(window))
        self._lessons = [np.array(x) for x in state["lessons"]]
        self._before = Removal(**state["before"])
        self._left = None if state["left"] is None else np.array(state["left"])
        self._waiting = deque(
            (np.array(x), start, masks_from_state(m)) for x, start, m in state["waiting"]
        )

    def _begin_stretch(self) -> None:
        self._window = None if self.model is None else AsrState.empty(self.model, self._hop)
        self._before = Removal.none(self.info.n_channels)
        self._left = None
        self._waiting = deque()

    def _take(self, cell: RawBlock | None) -> list[Block]:
        """Take a hop, or the end of the stretch."""
        if cell is None:
            out = [self._release(self._before) for _ in range(len(self._waiting))]
            self._begin_stretch()
            return out
        cell = judged(cell, self._rows)
        x, good = bridged(cell, self._rows, self._cal, self._left, self._longest)
        self._left = x[:, -1].copy()
        single = x.astype(np.float32)
        self._waiting.append((single, cell.start, masks_of(cell.masks, self._names)))
        whole = x.shape[1] == self._hop
        found = self._assess(single) if whole else self._before
        if whole and self.model is None and good.mean() >= _BELIEVED:
            self._learn(single)
        # a short cell is only at an end of the stretch: what waits is counted in cells
        if len(self._waiting) <= self._ahead:
            return []
        return [self._release(found)]

    def _assess(self, x: F32) -> Removal:
        if self.model is None or self._window is None:
            return self._before
        return asr_assess(self._window, self.model, x)

    def _release(self, after: Removal) -> Block:
        x, start, masks = self._waiting.popleft()
        y = asr_remove(x, self._before, after)
        self._before = after
        return Block(y, self.info, start, masks)

    def _learn(self, x: F32) -> None:
        """Collect what is clean for the most part; learn when there is enough of it."""
        stage = self._stage
        if stage.calibration_s is None:
            return
        self._lessons.append(x)
        if len(self._lessons) * self._hop < stage.calibration_s * self.source.sfreq:
            return
        data = np.concatenate(self._lessons, axis=1)
        self._lessons = []
        try:
            model = asr_calibrate(
                data,
                self.source.sfreq,
                cutoff=stage.cutoff,
                window_s=stage.window_s,
                most=stage.most,
            )
        except KernelInputError:
            return  # flat so far: it goes on learning from what comes
        self.adopt(model)


def _copied(state: dict[str, Any]) -> dict[str, Any]:
    return {k: v.copy() if isinstance(v, np.ndarray) else v for k, v in state.items()}
