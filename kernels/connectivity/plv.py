"""Measures of unit phase differences: plv (Lachaux 1999), ciplv (Bruña 2018), ppc (Vinck 2010).

An epoch in which a channel is flat has no phase and adds nothing, where peers divide 0 by 0.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from brainforge.kernels.connectivity.sums import BinSums


def plv(sums: BinSums) -> npt.NDArray[np.float64]:
    """Return the phase-locking value of one bin, axes (pair,), 0 to 1."""
    squared = np.square(sums.of["unit_re"]) + np.square(sums.of["unit_im"])
    return np.sqrt(squared) / max(sums.n_epochs, 1)


def ciplv(sums: BinSums) -> npt.NDArray[np.float64]:
    """Return the corrected imaginary phase-locking value of one bin, axes (pair,), 0 to 1.

    Where the real part is 1 to rounding, so that nothing lagged is left, it is 0.
    """
    n = max(sums.n_epochs, 1)
    real, imag = sums.of["unit_re"] / n, np.abs(sums.of["unit_im"]) / n
    rest = 1.0 - np.square(np.clip(real, -1.0, 1.0))
    value = np.divide(imag, np.sqrt(rest), out=np.zeros_like(imag), where=rest > 1e-6)
    return np.minimum(value, 1.0)


def ppc(sums: BinSums) -> npt.NDArray[np.float64]:
    """Return pairwise phase consistency of one bin, axes (pair,); unbiased. 0 below 2 epochs."""
    n = sums.n_epochs
    if n < 2:
        return np.zeros_like(sums.of["unit_re"])
    squared = np.square(sums.of["unit_re"]) + np.square(sums.of["unit_im"])
    return (squared - n) / (n * (n - 1.0))
