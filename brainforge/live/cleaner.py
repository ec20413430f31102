"""LiveCleaner: the operator of the moment over every block, and the way from one to the next."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.block import Block, Cause, Mask
from brainforge.info import Info
from brainforge.kernels.apply import LowRank, apply_low_rank, apply_matrix, low_rank
from brainforge.learners.repair import learn_repair
from brainforge.live.calibration import Calibration
from brainforge.masks import bad_samples
from brainforge.units import MEG_KINDS

F32 = npt.NDArray[np.float32]
#: a new operator takes over within so many seconds
FADE_S = 0.5
#: sets of masked channels whose operators are remembered
_REMEMBERED = 32


@dataclass(frozen=True)
class _Fused:
    """A matrix, as identity plus low rank where it is; ``spreads`` a channel not to believe."""

    form: F32 | LowRank
    spreads: bool

    def __call__(self, data: F32) -> F32:
        if isinstance(self.form, LowRank):
            return apply_low_rank(self.form, data)
        return apply_matrix(self.form, data)


class _Applied:
    """One calibration's operator, and its variants for sets of masked channels."""

    def __init__(self, info: Info, calibration: Calibration) -> None:
        self.calibration = calibration
        self.names = calibration.fused.names
        rows = info.rows(self.names)
        whole = np.array_equal(rows, np.arange(info.n_channels))
        self.rows: Any = slice(None) if whole else rows
        self._info = info.with_bads(set(calibration.bad_names) & set(info.names))
        self._cache: OrderedDict[tuple[str, ...], _Fused] = OrderedDict()
        used = np.any(calibration.fused.matrix != 0, axis=0)
        self.harmful = frozenset(n for n, u in zip(self.names, used) if u)

    def fused(self, masked: tuple[str, ...]) -> _Fused:
        if masked not in self._cache:
            self._cache[masked] = self._make(masked)
            if len(self._cache) > _REMEMBERED:
                self._cache.popitem(last=False)
        self._cache.move_to_end(masked)
        return self._cache[masked]

    def _make(self, masked: tuple[str, ...]) -> _Fused:
        fused = self.calibration.fused
        matrix = fused.matrix
        if masked:
            repair = learn_repair(self._info, masked).expand(fused.names)
            matrix = (fused @ repair).matrix
        columns = fused.rows(masked)
        own = matrix[columns, columns]
        spreads = np.any(np.count_nonzero(matrix[:, columns], axis=0) > (own != 0))
        return _Fused(low_rank(matrix) or matrix.astype(np.float32), bool(spreads))


class LiveCleaner:
    """Takes filtered blocks, gives the cleaned MEG channels.

    A channel that is masked for most of a block is replaced by what its neighbours say before
    the operator could spread it; a shorter stretch has been bridged by the filter. Either way
    its samples stay masked. Where nothing can replace it, the block is masked in all channels.

    Parameters
    ----------
    info : Info
        Of the filtered blocks.
    calibration : Calibration
        To begin with.
    """

    def __init__(self, info: Info, calibration: Calibration) -> None:
        self._source = info
        self._index = {name: i for i, name in enumerate(info.names)}
        #: of what comes out; bad channels are not marked in it: they change, it does not
        self.info = info.pick(info.names_of(*MEG_KINDS)).with_bads(())
        self._now = _Applied(info, calibration)
        self._before: _Applied | None = None
        self._since = 0
        self._fade = max(round(FADE_S * info.sfreq), 1)
        self._kinds = frozenset(self.info.names)

    @property
    def calibration(self) -> Calibration:
        """What is applied, or being faded in."""
        return self._now.calibration

    def adopt(self, calibration: Calibration, at: int) -> None:
        """Let another operator take over from sample ``at`` on, within half a second."""
        self._before, self._since = self._now, at
        self._now = _Applied(self._source, calibration)

    def heart(self, block: Block) -> F32 | None:
        """Return the heart's trace in a block, axes (sample,); None before it is known."""
        weights = self.calibration.heart
        if weights is None:
            return None
        return weights.astype(np.float32) @ block.data[self._now.rows]

    def __call__(self, block: Block) -> Block:
        """Return the cleaned MEG channels of a block."""
        masked = self._masked(block)
        data, spread = self._through(self._now, block, masked)
        if self._before is not None:
            data = self._faded(block, data, masked)
        masks = self._masks(block)
        if spread:
            masks += (Mask(None, block.start, block.stop, Cause.RAILED),)
        return Block(data, self.info, block.start, masks)

    def state(self) -> dict[str, Any]:
        """Return a checkpoint."""
        before = self._before and self._before.calibration.state()
        return {"now": self.calibration.state(), "before": before, "since": self._since}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint."""
        before, self._since = state["before"], state["since"]
        self._now = _Applied(self._source, Calibration.from_state(state["now"]))
        self._before = before and _Applied(self._source, Calibration.from_state(before))

    def _through(self, applied: _Applied, block: Block, masked: set[str]) -> tuple[F32, bool]:
        harmful = tuple(n for n in applied.names if n in masked and n in applied.harmful)
        fused = applied.fused(harmful)
        out = fused(np.ascontiguousarray(block.data[applied.rows]))
        return out[: self.info.n_channels], fused.spreads

    def _faded(self, block: Block, data: F32, masked: set[str]) -> F32:
        """Return the way from what the operator before would give to ``data``."""
        assert self._before is not None
        old, _ = self._through(self._before, block, masked)
        share = (np.arange(block.start, block.stop) - self._since + 1) / self._fade
        weight = np.clip(share, 0.0, 1.0).astype(np.float32)
        if block.stop - self._since >= self._fade:
            self._before = None
        return old + weight * (data - old)

    def _masked(self, block: Block) -> set[str]:
        """Return the channels that are masked for most of a block."""
        if not block.masks:
            return set()
        touched, bad = bad_samples(block, self._index)
        rows = touched[2 * np.count_nonzero(bad, axis=1) > bad.shape[1]]
        # all of them: nothing is left to replace them by, and nothing that they could harm
        return set() if len(rows) == len(block.data) else {block.info.names[i] for i in rows}

    def _masks(self, block: Block) -> tuple[Mask, ...]:
        out = []
        for mask in block.masks:
            names = mask.channels
            if names is not None:
                names = tuple(n for n in names if n in self._kinds)
            if names != ():
                out.append(Mask(names, mask.start, mask.stop, mask.cause))
        return tuple(out)
