"""One pass over all channel pairs of one frequency: the sums that the phase-lag family needs.

With z the spectra and S = Im(z_i conj(z_j)), four sums over epochs: S, |S|, how often S > 0,
and S squared. Scalar float32 sums within a chunk, float64 across chunks.

|S| is had as 2 max(S, 0) - S, which costs one operation less than summing both.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from brainforge.kernels.jit import lazy_jit

#: channels of a tile that stay in the second-level cache while the others pass
_BLOCK = 48


@lazy_jit(["void(float32[:, :, ::1], int64, float64[:, ::1])"])
def lag_sums(spectra: Any, n_epochs: Any, out: Any) -> None:
    """Add S, |S|, [S > 0] and S squared of all pairs i < j.

    Parameters
    ----------
    spectra : float32 array, C order, axes (channel, re/im, epoch)
        Of one frequency and taper; zero in the padding.
    n_epochs : int
        Epochs to take, a multiple of 16.
    out : float64 array, C order, axes (sum, pair)
        Added to.
    """
    n = spectra.shape[0]
    zero, one, two = np.float32(0), np.float32(1), np.float32(2)
    for block in range(0, n, _BLOCK):
        last = min(block + _BLOCK, n)
        for i in range(0, last, 2):
            i1 = min(i + 1, n - 1)
            ar, ai = spectra[i, 0, :n_epochs], spectra[i, 1, :n_epochs]
            br, bi = spectra[i1, 0, :n_epochs], spectra[i1, 1, :n_epochs]
            for j in range(max(block, i), last, 2):
                j1 = min(j + 1, n - 1)
                cr, ci = spectra[j, 0, :n_epochs], spectra[j, 1, :n_epochs]
                dr, di = spectra[j1, 0, :n_epochs], spectra[j1, 1, :n_epochs]
                s0, s1, s2, s3 = zero, zero, zero, zero
                m0, m1, m2, m3 = zero, zero, zero, zero
                p0, p1, p2, p3 = zero, zero, zero, zero
                q0, q1, q2, q3 = zero, zero, zero, zero
                for e in range(n_epochs):
                    s = ai[e] * cr[e] - ar[e] * ci[e]
                    s0 += s
                    q0 += s * s
                    m0 += s if s > zero else zero
                    p0 += one if s > zero else zero
                    s = ai[e] * dr[e] - ar[e] * di[e]
                    s1 += s
                    q1 += s * s
                    m1 += s if s > zero else zero
                    p1 += one if s > zero else zero
                    s = bi[e] * cr[e] - br[e] * ci[e]
                    s2 += s
                    q2 += s * s
                    m2 += s if s > zero else zero
                    p2 += one if s > zero else zero
                    s = bi[e] * dr[e] - br[e] * di[e]
                    s3 += s
                    q3 += s * s
                    m3 += s if s > zero else zero
                    p3 += one if s > zero else zero
                # pair (i, j) sits at row start of i plus j; i1, j1 repeat i, j at an odd end
                o = i * n - i * (i + 1) // 2 - i - 1
                if j > i:
                    for row, value in enumerate((s0, two * m0 - s0, p0, q0)):
                        out[row, o + j] += value
                if j1 > j:
                    for row, value in enumerate((s1, two * m1 - s1, p1, q1)):
                        out[row, o + j1] += value
                o = i1 * n - i1 * (i1 + 1) // 2 - i1 - 1
                if i1 > i and j > i1:
                    for row, value in enumerate((s2, two * m2 - s2, p2, q2)):
                        out[row, o + j] += value
                if i1 > i and j1 > j and j1 > i1:
                    for row, value in enumerate((s3, two * m3 - s3, p3, q3)):
                        out[row, o + j1] += value
