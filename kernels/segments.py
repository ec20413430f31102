"""Loops over segments of a signal: take off the mean, window, and add up squares.

Two segments of one channel share a complex transform, one as its real and one as its imaginary
part. Their spectra need not be told apart where only the sum of their powers is wanted:
|A_k|^2 + |B_k|^2 is (|Z_k|^2 + |Z_-k|^2) / 2, and nothing cancels in it.
"""

from __future__ import annotations

import numpy as np

from brainforge.kernels.jit import lazy_jit

_IN = "Array(float32, 2, 'C', readonly=True)"
_KEEP = "Array(bool, 2, 'C', readonly=True)"
_ROWS = "Array(int64, 1, 'C', readonly=True)"
_TAPER = "Array(float32, 1, 'C', readonly=True)"

F0 = np.float32(0)


@lazy_jit(
    [
        f"void({_IN}, {_IN}, {_ROWS}, {_KEEP}, int64, int64, {_TAPER},"
        " float32[:, ::1], float32[:, :, ::1])"
    ]
)
def pack_pairs(x, before, rows, keep, first, step, taper, pair, out):  # type: ignore[no-untyped-def]
    """Write windowed pairs of segments as complex numbers.

    ``x`` and ``before`` have axes (channel, sample), ``before`` ends where ``x`` begins. Segment
    s begins at sample ``first + s * step`` of ``x``. ``keep`` has axes (row, segment); where it
    is False the segment is not read and 0 stands for it. ``pair``, axes (2, sample), is working
    memory. ``out`` has axes (row, pair, re/im of a sample in turn).
    """
    n, n_before = len(taper), before.shape[1]
    for i in range(len(rows)):
        row = rows[i]
        for p in range(out.shape[1]):
            for half in range(2):
                s = 2 * p + half
                seg = pair[half]
                if s >= keep.shape[1] or not keep[i, s]:
                    seg[:] = F0
                    continue
                begin = first + s * step
                n_old = min(max(-begin, 0), n)
                if n_old:
                    old = before[row, n_before + begin : n_before + begin + n_old]
                    for t in range(n_old):
                        seg[t] = old[t]
                if n_old < n:
                    new = x[row, begin + n_old : begin + n]
                    for t in range(n - n_old):
                        seg[n_old + t] = new[t]
                total = F0
                for t in range(n):
                    total += seg[t]
                mean = total / np.float32(n)
                for t in range(n):
                    seg[t] = (seg[t] - mean) * taper[t]
            target, a, b = out[i, p], pair[0], pair[1]
            for t in range(n):
                target[2 * t] = a[t]
                target[2 * t + 1] = b[t]


@lazy_jit(["void(float32[:, :, ::1], float64[:, ::1])"])
def add_squares(z, total):  # type: ignore[no-untyped-def]
    """Add |z|^2 over the pairs of each row, axes (row, pair, re/im in turn), in float64."""
    n = total.shape[1]
    for i in range(z.shape[0]):
        into = total[i]
        for p in range(z.shape[1]):
            a = z[i, p]
            for k in range(n):
                into[k] += np.float64(a[2 * k] * a[2 * k] + a[2 * k + 1] * a[2 * k + 1])


@lazy_jit(
    [
        "void(Array(float32, 1, 'C', readonly=True), Array(int64, 1, 'C', readonly=True),"
        f" {_TAPER}, boolean, float32[:, ::1])"
    ]
)
def window_rows(x, starts, taper, centred, out):  # type: ignore[no-untyped-def]
    """Write the segments of one channel that begin at ``starts``, windowed.

    Their means are taken off where ``centred``. A start below 0 stands for a segment of zeros.
    """
    n = len(taper)
    for s in range(len(starts)):
        into = out[s]
        if starts[s] < 0:
            into[:] = F0
            continue
        seg = x[starts[s] : starts[s] + n]
        mean = F0
        if centred:
            for t in range(n):
                mean += seg[t]
            mean /= np.float32(n)
        for t in range(n):
            into[t] = (seg[t] - mean) * taper[t]
