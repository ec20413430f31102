"""Orthogonalised amplitude envelope correlation (Hipp et al. 2012), pairwise, symmetrised.

The envelope of what is left of z_i beside z_j is |Im(z_i conj(z_j))| / |z_j|. With
c = |Im(z_i conj(z_j))|, o = c / |z_j| and h = c / |z_i|, five sums over time give both
directions of a pair: c, o, o squared, h, h squared. The reciprocals are made once per channel,
so that the loop over pairs holds no division.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.errors import KernelInputError
from brainforge.kernels.connectivity.layout import aligned, n_pairs, whole_groups
from brainforge.kernels.jit import lazy_jit

_BLOCK = 48
#: samples summed in float32 before they go to the float64 sums
_CHUNK = 496


@lazy_jit(["void(float32[:, :, ::1], float32[:, :, :, ::1], float64[:, ::1])"])
def _rows(signal: Any, rows: Any, moments: Any) -> None:
    """Fill rows (chunk, channel, re/im/inverse, time) at order one, with zeros in the padding.

    ``moments`` gets the mean of |z| and the root of its summed squared deviations.
    """
    n_times, length = signal.shape[1], rows.shape[3]
    zero, one = np.float32(0), np.float32(1)
    for c in range(signal.shape[0]):
        z = signal[c]
        part = zero
        for t in range(n_times):
            part += abs(z[t, 0]) + abs(z[t, 1])
        scale = np.float32(n_times) / part if part > zero else zero
        total: Any = 0.0
        for k in range(rows.shape[0]):
            re, im, inverse = rows[k, c, 0], rows[k, c, 1], rows[k, c, 2]
            part = zero
            for e in range(min(length, n_times - k * length)):
                x, y = z[k * length + e, 0] * scale, z[k * length + e, 1] * scale
                size = np.sqrt(x * x + y * y)
                re[e], im[e] = x, y
                inverse[e] = one / size if size > zero else zero
                part += size
            for e in range(min(length, n_times - k * length), length):
                re[e], im[e], inverse[e] = zero, zero, zero
            total += part
        mean = total / n_times
        near = np.float32(mean)
        spread: Any = 0.0
        rest: Any = 0.0
        for k in range(rows.shape[0]):
            re, im = rows[k, c, 0], rows[k, c, 1]
            part, left = zero, zero
            for e in range(min(length, n_times - k * length)):
                off = np.sqrt(re[e] * re[e] + im[e] * im[e]) - near
                part += off * off
                left += off
            spread += part
            rest += left
        moments[c, 0] = near + rest / n_times
        moments[c, 1] = np.sqrt(max(spread - rest * rest / n_times, 0.0))


@lazy_jit(["void(float32[:, :, ::1], float64[:, ::1])"])
def _envelope_sums(rows: Any, out: Any) -> None:
    """Add c, o, o squared, h and h squared to out (pair, sum).

    ``rows`` has axes (channel, re/im/inverse, time) and zeros in its padding.
    """
    n, n_times = rows.shape[0], rows.shape[2]
    zero = np.float32(0)
    for block in range(0, n, _BLOCK):
        last = min(block + _BLOCK, n)
        for i in range(0, last, 2):
            i1 = min(i + 1, n - 1)
            ar, ai, aw = rows[i, 0], rows[i, 1], rows[i, 2]
            br, bi, bw = rows[i1, 0], rows[i1, 1], rows[i1, 2]
            for j in range(max(block, i), last, 2):
                j1 = min(j + 1, n - 1)
                cr, ci, cw = rows[j, 0], rows[j, 1], rows[j, 2]
                dr, di, dw = rows[j1, 0], rows[j1, 1], rows[j1, 2]
                c0, o0, p0, h0, q0 = zero, zero, zero, zero, zero
                c1, o1, p1, h1, q1 = zero, zero, zero, zero, zero
                c2, o2, p2, h2, q2 = zero, zero, zero, zero, zero
                c3, o3, p3, h3, q3 = zero, zero, zero, zero, zero
                for t in range(n_times):
                    c = abs(ai[t] * cr[t] - ar[t] * ci[t])
                    o, h = c * cw[t], c * aw[t]
                    c0 += c
                    o0 += o
                    p0 += o * o
                    h0 += h
                    q0 += h * h
                    c = abs(ai[t] * dr[t] - ar[t] * di[t])
                    o, h = c * dw[t], c * aw[t]
                    c1 += c
                    o1 += o
                    p1 += o * o
                    h1 += h
                    q1 += h * h
                    c = abs(bi[t] * cr[t] - br[t] * ci[t])
                    o, h = c * cw[t], c * bw[t]
                    c2 += c
                    o2 += o
                    p2 += o * o
                    h2 += h
                    q2 += h * h
                    c = abs(bi[t] * dr[t] - br[t] * di[t])
                    o, h = c * dw[t], c * bw[t]
                    c3 += c
                    o3 += o
                    p3 += o * o
                    h3 += h
                    q3 += h * h
                # i1 and j1 repeat i and j at an odd end
                at = i * n - i * (i + 1) // 2 - i - 1
                if j > i:
                    row = out[at + j]
                    for s, value in enumerate((c0, o0, p0, h0, q0)):
                        row[s] += value
                if j1 > j:
                    row = out[at + j1]
                    for s, value in enumerate((c1, o1, p1, h1, q1)):
                        row[s] += value
                at = i1 * n - i1 * (i1 + 1) // 2 - i1 - 1
                if i1 > i and j > i1:
                    row = out[at + j]
                    for s, value in enumerate((c2, o2, p2, h2, q2)):
                        row[s] += value
                if i1 > i and j1 > j and j1 > i1:
                    row = out[at + j1]
                    for s, value in enumerate((c3, o3, p3, h3, q3)):
                        row[s] += value


@lazy_jit(["void(float64[:, ::1], float64[:, ::1], int64, boolean, float64[::1])"], fastmath=False)
def _correlations(sums: Any, moments: Any, n_times: Any, absolute: Any, out: Any) -> None:
    """Fill out (pair,) with the mean of both directions' correlations."""
    n, pair = moments.shape[0], 0
    least = 1e-5 * np.sqrt(n_times)
    for i in range(n - 1):
        for j in range(i + 1, n):
            both = 0.0
            for side in range(2):
                mean, deviation = moments[j - side * (j - i)]
                total = sums[pair, 1 + 2 * side]
                squares = sums[pair, 2 + 2 * side]
                spread = squares - total * total / n_times
                # what is left of a constant envelope is rounding
                if spread > 1e-6 * squares and deviation > least * mean:
                    r = (sums[pair, 0] - total * mean) / (np.sqrt(spread) * deviation)
                    both += abs(r) if absolute else r
            out[pair] = 0.5 * both
            pair += 1


def envelope_correlation(
    signal: npt.NDArray[np.complexfloating[Any, Any]], *, absolute: bool = False
) -> npt.NDArray[np.float64]:
    """Return the orthogonalised envelope correlation of all pairs of one epoch, axes (pair,).

    Parameters
    ----------
    signal : complex array, axes (channel, time)
        Analytic signals of one band, any unit.
    absolute : bool
        Take the absolute value of each direction before their mean. Off by default: it
        inflates independent short epochs (0.11 in place of 0 for 6 s of alpha).

    Returns
    -------
    float64 array, axes (pair,)
        Mean of both directions, -1 to 1; 0 where an envelope is constant.
    """
    if signal.ndim != 2 or not np.iscomplexobj(signal):
        raise KernelInputError(
            where="signal",
            expected="a complex array of channels x times",
            got=f"{signal.dtype} of shape {signal.shape}",
        )
    n, n_times = signal.shape
    if n < 2 or n_times < 2:
        return np.zeros(n_pairs(n))
    n_chunks = -(-n_times // _CHUNK)
    rows = aligned((n_chunks, n, 3, whole_groups(-(-n_times // n_chunks))))
    moments = np.empty((n, 2))
    single = np.ascontiguousarray(signal, dtype=np.complex64)
    _rows(single.view(np.float32).reshape(n, n_times, 2), rows, moments)
    sums = np.zeros((n_pairs(n), 5))
    for part in rows:
        _envelope_sums(part, sums)
    out = np.empty(n_pairs(n))
    _correlations(sums, moments, n_times, absolute, out)
    return out
