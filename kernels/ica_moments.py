"""The sums that one ICA iteration needs, from one pass over float32 data in cache-size tiles.

With sources ``y = w x`` and score ``psi = tanh``: the means of log-likelihood, ``psi'``,
``psi y^T`` and ``psi' (y^2)^T``. A tile is multiplied, pushed through one fused kernel and
multiplied again while it lies in the second-level cache, so the data are read from memory once.

tanh and log cosh are approximated in float32. tanh(x) = x P(x^2) / Q(x^2), clipped at 9, where
1 - tanh is below float32's resolution; log cosh(x) + log 2 = |x| + 2 log 2 - log(1 + tanh |x|)
- log 2, with a polynomial for the logarithm on [1, 2]. Coefficients by weighted least squares
(Lawson); the largest absolute errors, rounding included, are 4e-7 for tanh, 8e-7 for its
derivative and 3e-7 relative to 1 + |x| for the log-likelihood.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.errors import KernelInputError
from brainforge.kernels.dispatch import kernel
from brainforge.kernels.jit import LazyKernel, lazy_jit
from brainforge.kernels.namespace import dtype_name
from brainforge.kernels.parallel import parallel_map, slices
from brainforge.kernels.scratch import scratch

#: samples in a tile: tiles of 40 rows fill 0.3 MB each, and two to four of them are in use
TILE = 2048
#: fixed pieces, so that the order of summation does not depend on the number of threads
PIECES = 8

Floats = npt.NDArray[np.float64]
Array32 = npt.NDArray[np.float32]

_F = np.float32
_CLIP = _F(9.0)
_LOG2 = _F(0.6931471805599453)
_ONE, _TWO, _ZERO = _F(1), _F(2), _F(0)
# numerator and denominator of tanh(x) / x in powers of x^2
_P0, _P1, _P2 = _F(0.9999999938714389), _F(0.1367633663638354), _F(0.0038639206879242244)
_P3, _P4, _P5 = _F(2.7923123282322044e-05), _F(3.0400334459912065e-08), _F(-1.2082623407805211e-11)
_Q1, _Q2 = _F(0.47009667313610703), _F(0.027229511918859566)
_Q3, _Q4 = _F(0.000393102489751294), _F(1.2817167522087853e-06)
# log(1 + t) / t in powers of t
_L1, _L2, _L3 = _F(0.9999964230396307), _F(-0.4998740308061203), _F(0.33179812348341337)
_L4, _L5, _L6 = _F(-0.24073018092346604), _F(0.1676465043703174), _F(-0.09532074955841281)
_L7, _L8 = _F(0.03608335916729519), _F(-0.0064523002150836395)


_NOTHING = np.empty((0, 0), dtype=np.float32)


def _score(curvature: bool) -> LazyKernel:
    """Return the kernel of a tile: psi, with ``curvature`` psi' and y^2 too, and sums of rows."""

    @lazy_jit(
        ["void(float32[:,::1],float32[:,::1],float32[:,::1],float32[:,::1],float64[::1],f8[::1])"]
    )
    def score_tile(y: Any, psi: Any, dpsi: Any, square: Any, loglik: Any, dsum: Any) -> None:
        for row in range(y.shape[0]):
            total, slope = _ZERO, _ZERO
            for at in range(y.shape[1]):
                v = y[row, at]
                a = min(abs(v), _CLIP)
                u = a * a
                top = _P0 + u * (_P1 + u * (_P2 + u * (_P3 + u * (_P4 + u * _P5))))
                low = _ONE + u * (_Q1 + u * (_Q2 + u * (_Q3 + u * _Q4)))
                t = min(a * top / low, _ONE)
                d = _ONE - t * t
                log = _L5 + t * (_L6 + t * (_L7 + t * _L8))
                log = t * (_L1 + t * (_L2 + t * (_L3 + t * (_L4 + t * log))))
                psi[row, at] = t if v >= _ZERO else -t
                if curvature:
                    dpsi[row, at] = d
                    square[row, at] = v * v
                total += abs(v) + _LOG2 - log
                slope += d
            loglik[row] += total
            dsum[row] += slope

    return score_tile


#: with psi' and y^2, and without
score_tile, score_tile_flat = _score(True), _score(False)


@dataclass(frozen=True)
class Moments:
    """Means over samples, float64.

    Parameters
    ----------
    loglik : array, axes (source,)
        Mean of |y| + log(1 + exp(-2 |y|)), which is log(2 cosh y).
    dpsi : array, axes (source,)
        Mean of 1 - tanh(y)^2.
    psi_y : array, axes (source i, source j)
        Mean of tanh(y_i) y_j.
    dpsi_y2 : array, axes (source i, source j)
        Mean of (1 - tanh(y_i)^2) y_j^2; zeros where it was not asked for.
    """

    loglik: Floats
    dpsi: Floats
    psi_y: Floats
    dpsi_y2: Floats


@kernel(device="brainforge.kernels.device.ica_moments:source_moments", raw=True, tolerance=5e-6)
def source_moments(x: Array32, w: Floats, *, curvature: bool = True, n_threads: int = 1) -> Moments:
    """Return the moments of the sources ``w @ x``.

    Parameters
    ----------
    x : float32 array, axes (component, sample)
        Rows contiguous; finite.
    w : float64 array, axes (source, component)
        Rounded to float32.
    curvature : bool
        Whether ``dpsi_y2`` is wanted; Picard-O does without it and saves a product.
    n_threads : int
        Threads over pieces; the numbers do not depend on it.

    Raises
    ------
    KernelInputError
        Not float32 and 2-D, without samples, or ``w`` of another shape.
    """
    check_sources(x, w)
    n_samples = x.shape[1]
    single = np.ascontiguousarray(w, dtype=np.float32)

    def piece(part: slice) -> tuple[Floats, Floats, Floats, Floats]:
        return _sums(x[:, part], single, curvature)

    parts = parallel_map(piece, slices(n_samples, PIECES, TILE), n_threads)
    return Moments(*(sum(column[1:], column[0]) / n_samples for column in zip(*parts)))


def check_sources(x: Any, w: Floats) -> None:
    """Raise KernelInputError where the data or the unmixing do not fit."""
    if x.ndim != 2 or dtype_name(x) != "float32" or 0 in x.shape:
        raise KernelInputError(
            where="x", expected="float32, components x samples, not empty",
            got=f"{x.dtype} of shape {tuple(x.shape)}",
        )  # fmt: skip
    n = x.shape[0]
    if w.shape != (n, n):
        raise KernelInputError(where="w", expected=f"shape {(n, n)}", got=f"shape {w.shape}")


def _sums(x: Array32, w: Array32, curvature: bool) -> tuple[Floats, Floats, Floats, Floats]:
    n, n_samples = x.shape
    loglik, dsum = np.zeros(n), np.zeros(n)
    psi_y, dpsi_y2 = np.zeros((n, n)), np.zeros((n, n))
    for at in range(0, n_samples, TILE):
        part = x[:, at : at + TILE]
        y, psi, *rest = scratch("sources", (4 if curvature else 2, n, part.shape[1]), np.float32)
        np.matmul(w, part, out=y)
        if curvature:
            score_tile(y, psi, *rest, loglik, dsum)
            dpsi_y2 += rest[0] @ rest[1].T
        else:
            score_tile_flat(y, psi, _NOTHING, _NOTHING, loglik, dsum)
        psi_y += psi @ y.T
    return loglik, dsum, psi_y, dpsi_y2
