"""Counts on their way into the filters: rows of a block, those that masks touch replaced.

Masks mostly touch few channels. Only their rows are copied and bridged; the others are read
where they lie.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Counts:
    """Counts of some channels.

    Parameters
    ----------
    data : array, axes (row, sample)
        Of a block, in the source's dtype.
    rows : int array, axes (channel,)
        The row of each channel.
    touched : int array, axes (touched channel,)
        Positions among the channels of those whose samples are replaced.
    patch : array, axes (touched channel, sample)
        What replaces them.
    """

    data: npt.NDArray[Any]
    rows: Rows
    touched: Rows
    patch: npt.NDArray[Any]

    @classmethod
    def whole(cls, data: npt.NDArray[Any]) -> Self:
        """Return all rows of an array as they are."""
        none = np.zeros(0, np.intp)
        return cls(data, np.arange(len(data)), none, data[none])

    @property
    def n_samples(self) -> int:
        """Number of samples."""
        return self.data.shape[1]

    def take(self, part: slice) -> npt.NDArray[Any]:
        """Return a copy of a stretch of samples, axes (channel, sample)."""
        out = self.data[:, part][self.rows]
        if len(self.touched):
            out[self.touched] = self.patch[:, part]
        return out
