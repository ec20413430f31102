"""The pair sums for several tapers: cross-spectra are summed over tapers before anything else.

|z_i conj(z_j)| then no longer factors into two channels, so the unit phase is made in the loop.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from brainforge.kernels.jit import LazyKernel, lazy_jit

_BLOCK = 16


@lru_cache(maxsize=8)
def taper_sums(n_tapers: int) -> LazyKernel:
    """Return the kernel for a number of tapers, a constant in it so that its loop unrolls.

    The kernel takes spectra (float32, C order, axes channel, 2 * taper, epoch), the number of
    epochs (a multiple of 16) and out (float64, axes sum, pair) and adds, over epochs and with
    C the cross-spectrum summed over tapers: Im C, |Im C|, [Im C > 0], (Im C) squared, Re C / |C|
    and Im C / |C|.
    """
    n_k = n_tapers

    def kernel(spectra: Any, n_epochs: Any, out: Any) -> None:
        n = spectra.shape[0]
        zero, one = np.float32(0), np.float32(1)
        for block in range(0, n, _BLOCK):
            last = min(block + _BLOCK, n)
            for i in range(last):
                a = spectra[i]
                start = i * n - i * (i + 1) // 2 - i - 1
                for j in range(max(block, i + 1), last):
                    b = spectra[j]
                    s0, s1, s2, s3, s4, s5 = zero, zero, zero, zero, zero, zero
                    for e in range(n_epochs):
                        re, im = zero, zero
                        for k in range(n_k):
                            ar, ai = a[2 * k, e], a[2 * k + 1, e]
                            br, bi = b[2 * k, e], b[2 * k + 1, e]
                            re += ar * br + ai * bi
                            im += ai * br - ar * bi
                        size = re * re + im * im
                        inverse = one / np.sqrt(size) if size > zero else zero
                        s0 += im
                        s1 += abs(im)
                        s2 += one if im > zero else zero
                        s3 += im * im
                        s4 += re * inverse
                        s5 += im * inverse
                    out[0, start + j] += s0
                    out[1, start + j] += s1
                    out[2, start + j] += s2
                    out[3, start + j] += s3
                    out[4, start + j] += s4
                    out[5, start + j] += s5

    return lazy_jit(["void(float32[:, :, ::1], int64, float64[:, ::1])"])(kernel)
