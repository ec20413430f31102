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
    n_channels, zero, one = inverse.shape[0], np.float32(0), np.float32(1)
    n = np.float64(max(n_epochs, 1))
    total = np.empty((7, n_channels))
    for i in range(begin_i, end_i):
        m = n_channels - 1 - i
        at = i * n_channels - i * (i + 1) // 2 - skipped
        for s in range(7):
            if where[s] >= 0:
                row = total[s]
                old = sums[where[s], skipped + at :] if summed else extra[where[s], at:]
                if summed and extra.shape[1] > 0:
                    new = extra[where[s], at:]
                    for p in range(m):
                        row[p] = old[p] + new[p]
                else:
                    for p in range(m):
                        row[p] = old[p]
        re, im, size, positive = total[_RE], total[_IM], total[_ABS], total[_POSITIVE]
        square, u, v = total[_SQUARE], total[_U], total[_V]
        g, gi = inverse[i + 1 :], inverse[i]
        for k in range(measures.shape[0]):
            result = out[k, skipped + at : skipped + at + m]
            code = measures[k]
            if code == 0:
                for p in range(m):
                    scale = g[p] * gi
                    a, b = re[p] * scale, im[p] * scale
                    result[p] += np.sqrt(np.float32(a * a + b * b))
            elif code == 1:
                for p in range(m):
                    result[p] += np.float32(re[p] * g[p] * gi)
            elif code == 2:
                for p in range(m):
                    result[p] += np.float32(im[p] * g[p] * gi)
            elif code == 3:
                for p in range(m):
                    a, b = u[p] / n, v[p] / n
                    result[p] += np.sqrt(np.float32(a * a + b * b))
            elif code == 4:
                # where the real part is 1 to rounding, nothing lagged is left
                for p in range(m):
                    a, b = u[p] / n, np.float32(abs(v[p]) / n)
                    rest = 1.0 - a * a
                    left = np.float32(rest) if rest > 1e-6 else one
                    value = min(b / np.sqrt(left), one)
                    result[p] += value if rest > 1e-6 else zero
            elif code == 5:
                for p in range(m):
                    value = (u[p] * u[p] + v[p] * v[p] - n) / (n * max(n - 1.0, 1.0))
                    result[p] += np.float32(value) if n_epochs > 1 else zero
            elif code == 6:
                for p in range(m):
                    result[p] += np.float32(abs(2.0 * positive[p] - n_epochs) / n)
            elif code == 7:
                for p in range(m):
                    sign = (2.0 * positive[p] - n_epochs) / n
                    value = (n * sign * sign - 1.0) / max(n - 1.0, 1.0)
                    result[p] += np.float32(value) if n_epochs > 1 else zero
            elif code == 8:
                for p in range(m):
                    result[p] += np.float32(positive[p] / n) if n_epochs > 0 else np.float32(0.5)
            elif code == 9:
                for p in range(m):
                    below = np.float32(size[p])
                    value = min(np.float32(abs(im[p])) / (below if below > zero else one), one)
                    result[p] += value if below > zero else zero
            else:
                # with a single live epoch the weight is 0 but for rounding
                for p in range(m):
                    weight = size[p] * size[p] - square[p]
                    meant = weight > 1e-6 * square[p] and n_epochs > 1
                    below = np.float32(weight) if meant else one
                    value = np.float32(im[p] * im[p] - square[p]) / below
                    result[p] += value if meant else zero


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
