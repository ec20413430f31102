"""Coherency and what is made of it: coh, cohy, imcoh (Nolte et al. 2004).

Cross-spectrum over the root of both powers, from sums over epochs. A flat channel gives 0.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from brainforge.kernels.connectivity.layout import pair_products
from brainforge.kernels.connectivity.sums import BinSums


def _inverse_scale(sums: BinSums) -> npt.NDArray[np.float64]:
    scale = np.sqrt(pair_products(sums.power))
    return np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > 0)


def coh(sums: BinSums) -> npt.NDArray[np.float64]:
    """Return coherence |Re + i Im| / sqrt(P_i P_j) of one bin, axes (pair,), 0 to 1."""
    size = np.sqrt(np.square(sums.of["re"]) + np.square(sums.of["im"]))
    return size * _inverse_scale(sums)


def cohy(sums: BinSums) -> npt.NDArray[np.complex128]:
    """Return complex coherency of one bin, axes (pair,)."""
    cross: npt.NDArray[np.complex128] = sums.of["re"] + 1j * sums.of["im"]
    return cross * _inverse_scale(sums)


def imcoh(sums: BinSums) -> npt.NDArray[np.float64]:
    """Return the imaginary part of coherency of one bin, axes (pair,), signed."""
    return sums.of["im"] * _inverse_scale(sums)
