"""The phase-lag index and its kin: pli (Stam 2007), pli2_unbiased (Vinck 2011), dpli (Stam 2012).

They count the signs of the imaginary part; a zero counts half to either side. A sample whose
imaginary part lies within float32 rounding of zero may count to another side than in float64.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from brainforge.kernels.connectivity.sums import BinSums


def _mean_sign(sums: BinSums) -> npt.NDArray[np.float64]:
    return (2.0 * sums.of["positive"] - sums.n_epochs) / max(sums.n_epochs, 1)


def pli(sums: BinSums) -> npt.NDArray[np.float64]:
    """Return the phase-lag index of one bin, axes (pair,), 0 to 1."""
    return np.abs(_mean_sign(sums))


def pli2_unbiased(sums: BinSums) -> npt.NDArray[np.float64]:
    """Return the unbiased squared phase-lag index, axes (pair,). 0 below 2 epochs."""
    n = sums.n_epochs
    if n < 2:
        return np.zeros_like(sums.of["positive"])
    return (n * np.square(_mean_sign(sums)) - 1.0) / (n - 1.0)


def dpli(sums: BinSums) -> npt.NDArray[np.float64]:
    """Return the directed phase-lag index, axes (pair,): 0.5 is none, (j, i) is 1 - (i, j)."""
    if sums.n_epochs == 0:
        return np.full_like(sums.of["positive"], 0.5)
    return sums.of["positive"] / sums.n_epochs
