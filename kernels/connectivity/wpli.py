"""The weighted phase-lag index and its debiased square (Vinck et al. 2011).

Unsigned, as in mne-connectivity. Where no epoch has an imaginary part the value is 0.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from brainforge.kernels.connectivity.sums import BinSums


def wpli(sums: BinSums) -> npt.NDArray[np.float64]:
    """Return |sum Im| / sum |Im| of one bin, axes (pair,), 0 to 1."""
    total = sums.of["abs_im"]
    value = np.divide(np.abs(sums.of["im"]), total, out=np.zeros_like(total), where=total > 0)
    return np.minimum(value, 1.0)


def wpli2_debiased(sums: BinSums) -> npt.NDArray[np.float64]:
    """Return the debiased squared wPLI of one bin, axes (pair,); may be below 0.

    With fewer than two epochs there is no pair of epochs to compare, and it is 0.
    """
    if sums.n_epochs < 2:
        return np.zeros_like(sums.of["im"])
    squares = sums.of["im2"]
    weight = np.square(sums.of["abs_im"]) - squares
    # with a single live epoch the weight is 0 but for rounding
    meant = weight > 1e-6 * squares
    return np.divide(
        np.square(sums.of["im"]) - squares, weight, out=np.zeros_like(weight), where=meant
    )
