"""Counts on their way into the filters: rows of a block, those that masks touch replaced.

Masks mostly touch few channels. Only their rows are copied and bridged; the others are read
where they lie.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from brainforge.kernels.namespace import rows_of

Rows = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Counts:
    """Counts of some channels, on the host or on a device.

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

    data: Any
    rows: Rows
    touched: Rows
    patch: Any

    @classmethod
    def whole(cls, data: Any) -> Self:
        """Return all rows of an array as they are."""
        return cls(data, np.arange(data.shape[0]), np.zeros(0, np.intp), data[:0, :])

    @property
    def n_samples(self) -> int:
        """Number of samples."""
        return int(self.data.shape[1])

    def take(self, part: slice) -> Any:
        """Return a copy of a stretch of samples, axes (channel, sample), where the counts live."""
        part = slice(*part.indices(self.n_samples))
        out = rows_of(self.data[:, part], self.rows)
        write_rows(out, self.touched, self.patch[:, part])
        return out


def write_rows(out: Any, rows: Rows, values: Any) -> None:
    """Write (row, sample) values to some rows of an array that lives in the same place."""
    if isinstance(out, np.ndarray):
        out[rows] = values
        return
    for at, row in enumerate(rows.tolist()):
        out[row, :] = values[at, :]
