"""Raw counts or working blocks in, working units out: what stages that take both share."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.block import Block, RawBlock
from brainforge.errors import InputError
from brainforge.info import Info
from brainforge.units import SIGNAL_KINDS, to_si


def working_info(info: Info) -> Info:
    """Return the Info of the signal channels in working units (fT, fT/cm, µV).

    Raises
    ------
    InputError
        Where there is no signal channel.
    """
    names = info.names_of(*SIGNAL_KINDS)
    if not names:
        raise InputError(
            where="channels",
            expected=f"at least one of kind {', '.join(SIGNAL_KINDS)}",
            got=f"none among {info.n_channels}",
        )
    picked = info.pick(names)
    channels = tuple(replace(c, cal=to_si(c.kind), offset=0.0, rails=None) for c in picked.channels)
    return replace(picked, channels=channels)


def as_raw(block: RawBlock | Block) -> RawBlock:
    """Return a block as a RawBlock; a working Block's calibration says that it is in place."""
    if isinstance(block, RawBlock):
        return block
    return RawBlock(block.data, block.info, block.start, block.masks)


class InOrder:
    """Refuses blocks that overlap, go back, or hold other channels or another dtype."""

    def __init__(self, info: Info) -> None:
        self.info = info
        self.stop: int | None = None
        self._dtype: np.dtype[Any] | None = None

    def check(self, block: RawBlock) -> None:
        """Take note of a block; raise InputError where it does not follow."""
        if self.stop is not None and block.start < self.stop:
            raise InputError(
                where="stream",
                expected=f"a block that starts at sample {self.stop} or later",
                got=f"one at {block.start}",
                fix="feed blocks in order and without overlap",
            )
        if block.info is not self.info and block.info.names != self.info.names:
            raise InputError(
                where="stream",
                expected=f"the same {self.info.n_channels} channels in every block",
                got=f"other channels at sample {block.start}",
            )
        if self._dtype is not None and block.data.dtype != self._dtype:
            raise InputError(
                where="stream",
                expected=f"{self._dtype} in every block",
                got=f"{block.data.dtype} at sample {block.start}",
            )
        self.stop, self._dtype = block.stop, block.data.dtype


def scaled(
    block: RawBlock, rows: npt.NDArray[np.intp], cal: npt.NDArray[np.float64]
) -> npt.NDArray[Any]:
    """Return some rows in working units, axes (sample, channel), C order.

    Float64 where the calibration is not 1: a filter then takes the offset off before float32.
    """
    data = block.data if len(rows) == len(block.data) else block.data[rows]
    if block.data.dtype == np.float32 and (cal == 1.0).all():
        return np.ascontiguousarray(data.T)
    out = np.empty(data.shape[::-1])
    np.multiply(data.T, cal, out=out)
    return out
