"""Which channels a measure reads, joined by name to whatever block arrives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.block import Block
from brainforge.errors import InputError
from brainforge.info import Info
from brainforge.kernels.namespace import is_device, namespace, to_device
from brainforge.units import MEG_KINDS


class Picks:
    """The picked channels of a signal.

    Parameters
    ----------
    info : Info
        Of the blocks to come.
    names : sequence of str | None
        None picks the MEG channels that are not bad, or the EEG ones where there is no MEG.

    Raises
    ------
    InputError
        Where a name is unknown, or nothing is left to pick.
    """

    def __init__(self, info: Info, names: Sequence[str] | None = None) -> None:
        if names is None:
            names = info.names_of(*MEG_KINDS, bads=False) or info.names_of("eeg", bads=False)
        if not names:
            raise InputError(
                where="picks",
                expected="at least one good MEG or EEG channel",
                got="none",
                fix="name the channels to measure",
            )
        self.names = tuple(names)
        self.name_set = frozenset(names)
        self.sfreq = info.sfreq
        self._join(info)

    def _join(self, info: Info) -> None:
        rows = info.rows(self.names)
        start = int(rows[0])
        run = np.array_equal(rows, np.arange(start, start + len(rows)))
        self._rows: slice | npt.NDArray[np.intp] = slice(start, start + len(rows)) if run else rows
        self._info = info

    def data(self, block: Block) -> Any:
        """Return the picked samples of a block, axes (channel, sample), in the picks' order.

        They stay where the block's are; a run of neighbours is a view.
        """
        if block.info is not self._info:
            if abs(block.info.sfreq / self.sfreq - 1.0) > 1e-9:
                raise InputError(
                    where="block",
                    expected=f"{self.sfreq:g} Hz",
                    got=f"{block.info.sfreq:g} Hz",
                    fix="bind the measure to the info of the blocks it gets",
                )
            self._join(block.info)
        if isinstance(self._rows, slice):
            return block.data[self._rows, :]
        if is_device(block.data):
            rows = to_device(self._rows, like=block.data)
            return namespace(block.data).take(block.data, rows, axis=0)
        return block.data[self._rows]
