"""All measures of one bin from its sums, row of pairs by row of pairs, in one pass over them.

Ratios and roots are taken in float32 after the differences have been taken in float64: they
cost half as much, and the matrices are float32.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from brainforge.kernels.connectivity.layout import SUMS
from brainforge.kernels.jit import lazy_jit

#: what the kernel knows, in the order of its branches
MEASURES: Final = (
    "coh", "cohy_re", "imcoh", "plv", "ciplv", "ppc", "pli", "pli2_unbiased", "dpli", "wpli",
    "wpli2_debiased",
)  # fmt: skip
_RE, _IM, _ABS, _POSITIVE, _SQUARE, _U, _V = (
    SUMS.index(name) for name in ("re", "im", "abs_im", "positive", "im2", "unit_re", "unit_im")
)


@lazy_jit()
def _row_sums(
    sums: Any, extra: Any, where: Any, begin: Any, at: Any, m: Any, summed: Any, total: Any
) -> None:
    """Fill total (sum, pair of a row) from what counts of ``sums`` and ``extra``."""
    for s in range(total.shape[0]):
        if where[s] >= 0:
            row = total[s]
            old = sums[where[s], begin:] if summed else extra[where[s], at:]
            if summed and extra.shape[1] > 0:
                new = extra[where[s], at:]
                for p in range(m):
                    row[p] = old[p] + new[p]
            else:
                for p in range(m):
                    row[p] = old[p]


@lazy_jit()
def _add_coherency(code: Any, total: Any, g: Any, gi: Any, result: Any) -> None:
    """Add coh, or real or imaginary part of cohy."""
    re, im = total[_RE], total[_IM]
    if code == 0:
        for p in range(result.shape[0]):
            scale = g[p] * gi
            a, b = re[p] * scale, im[p] * scale
            result[p] += np.sqrt(np.float32(a * a + b * b))
    else:
        part = re if code == 1 else im
        for p in range(result.shape[0]):
            result[p] += np.float32(part[p] * g[p] * gi)


@lazy_jit()
def _add_phase(code: Any, total: Any, n_epochs: Any, result: Any) -> None:
    """Add plv, ciplv or ppc."""
    u, v, n = total[_U], total[_V], np.float64(max(n_epochs, 1))
    one, zero = np.float32(1), np.float32(0)
    if code == 3:
        for p in range(result.shape[0]):
            a, b = u[p] / n, v[p] / n
            result[p] += np.sqrt(np.float32(a * a + b * b))
    elif code == 4:
        # where the real part is 1 to rounding, nothing lagged is left
        for p in range(result.shape[0]):
            a, b = u[p] / n, np.float32(abs(v[p]) / n)
            rest = 1.0 - a * a
            left = np.float32(rest) if rest > 1e-6 else one
            value = min(b / np.sqrt(left), one)
            result[p] += value if rest > 1e-6 else zero
    elif n_epochs > 1:
        for p in range(result.shape[0]):
            result[p] += np.float32((u[p] * u[p] + v[p] * v[p] - n) / (n * (n - 1.0)))


@lazy_jit()
def _add_sign(code: Any, total: Any, n_epochs: Any, result: Any) -> None:
    """Add pli, pli2_unbiased or dpli."""
    positive, n = total[_POSITIVE], np.float64(max(n_epochs, 1))
    if code == 6:
        for p in range(result.shape[0]):
            result[p] += np.float32(abs(2.0 * positive[p] - n_epochs) / n)
    elif code == 7 and n_epochs > 1:
        for p in range(result.shape[0]):
            sign = (2.0 * positive[p] - n_epochs) / n
            result[p] += np.float32((n * sign * sign - 1.0) / (n - 1.0))
    elif code == 8:
        for p in range(result.shape[0]):
            result[p] += np.float32(positive[p] / n) if n_epochs > 0 else np.float32(0.5)


@lazy_jit()
def _add_weighted(code: Any, total: Any, n_epochs: Any, result: Any) -> None:
    """Add wpli or wpli2_debiased."""
    im, size, square = total[_IM], total[_ABS], total[_SQUARE]
    one, zero = np.float32(1), np.float32(0)
    if code == 9:
        for p in range(result.shape[0]):
            below = np.float32(size[p])
            value = min(np.float32(abs(im[p])) / (below if below > zero else one), one)
            result[p] += value if below > zero else zero
    elif n_epochs > 1:
        # with a single live epoch the weight is 0 but for rounding
        for p in range(result.shape[0]):
            weight = size[p] * size[p] - square[p]
            meant = weight > 1e-6 * square[p]
            below = np.float32(weight) if meant else one
            value = np.float32(im[p] * im[p] - square[p]) / below
            result[p] += value if meant else zero


@lazy_jit(
    [
        "void(float64[:, ::1], float64[:, ::1], int64[::1], float64[::1], int64, int64, int64,"
        " int64, boolean, int64[::1], float32[:, ::1])"
    ]
)
def add_measures(
    sums: Any, extra: Any, where: Any, inverse: Any, begin_i: Any, end_i: Any, n_epochs: Any,
    skipped: Any, summed: Any, measures: Any, out: Any,
) -> None:  # fmt: skip
    """Add measures of one bin to the pairs of the rows begin_i to end_i of ``out``.

    Parameters
    ----------
    sums : float64 array, axes (sum, pair)
    extra : float64 array, axes (sum, pair of the rows)
        Added to them; nothing where it holds no pair.
    where : int array
        Row of each of `SUMS`, -1 where there is none.
    inverse : float64 array, axes (channel,)
        1 / sqrt(power), 0 for 0.
    begin_i, end_i : int
        The pairs' first channels.
    n_epochs : int
    skipped : int
        Pairs of the rows before ``begin_i``.
    summed : bool
        Whether ``sums`` count; else only ``extra`` does.
    measures : int array
        Positions in `MEASURES`.
    out : float32 array, axes (measure, pair)
    """
    n_channels = inverse.shape[0]
    total = np.empty((7, n_channels))
    for i in range(begin_i, end_i):
        m = n_channels - 1 - i
        at = i * n_channels - i * (i + 1) // 2 - skipped
        _row_sums(sums, extra, where, skipped + at, at, m, summed, total)
        for k in range(measures.shape[0]):
            result, code = out[k, skipped + at : skipped + at + m], measures[k]
            if code < 3:
                _add_coherency(code, total, inverse[i + 1 :], inverse[i], result)
            elif code < 6:
                _add_phase(code, total, n_epochs, result)
            elif code < 9:
                _add_sign(code, total, n_epochs, result)
            else:
                _add_weighted(code, total, n_epochs, result)


@lazy_jit(["void(float32[::1], int64, float32[:, ::1])"], fastmath=False)
def fill_square(packed: Any, mirror: Any, out: Any) -> None:
    """Fill a square, but for its diagonal, from packed pairs.

    ``mirror`` says what (j, i) is, given v at (i, j): 1 v, -1 -v, 0 1 - v.
    """
    n, at, one = out.shape[0], 0, np.float32(1)
    for i in range(n):
        row, start = out[i], at - i - 1
        for j in range(i + 1, n):
            row[j] = packed[start + j]
        at += n - 1 - i
    # sixteen columns at a time, so that what is read stays in the cache until it is used up
    for first in range(0, n, 16):
        for j in range(first + 1, n):
            row = out[j]
            for i in range(first, min(first + 16, j)):
                value = out[i, j]
                row[i] = one - value if mirror == 0 else value if mirror > 0 else -value
