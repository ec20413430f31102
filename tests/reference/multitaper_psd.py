"""Plain float64 definition of multitaper spectra."""

from __future__ import annotations

import numpy as np
from scipy.signal.windows import dpss


def multitaper_sums(x, sfreq, n_per_seg, step, half_bandwidth, n_tapers, good=None):
    """Sum of one-sided densities of good segments, and their number, one by one."""
    tapers, weights = dpss(n_per_seg, half_bandwidth, n_tapers, sym=False, return_ratios=True)
    power = np.zeros((len(x), n_per_seg // 2 + 1))
    count = np.zeros(len(x), dtype=np.int64)
    for c, row in enumerate(x.astype(np.float64)):
        for begin in range(0, len(row) - n_per_seg + 1, step):
            if good is not None and not good[c, begin : begin + n_per_seg].all():
                continue
            segment = row[begin : begin + n_per_seg]
            spectra = np.fft.rfft(tapers * (segment - segment.mean()), axis=1)
            # the true energy of the tapers: periodic ones have a little less than one
            energy = weights @ (tapers**2).sum(axis=1)
            density = weights @ np.abs(spectra) ** 2 / energy / sfreq
            density[1 : (n_per_seg + 1) // 2] *= 2
            power[c] += density
            count[c] += 1
    return power, count
