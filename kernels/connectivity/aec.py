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
from brainforge.kernels.connectivity.layout import n_pairs, whole_groups
from brainforge.kernels.dispatch import kernel
from brainforge.kernels.jit import lazy_jit
from brainforge.kernels.namespace import dtype_name
from brainforge.kernels.scratch import scratch


@lazy_jit(
    ["void(Array(float32, 3, 'C', readonly=True), float32[:, :, ::1], float64[::1], float64[::1])"]
)
def _rows(signal: Any, rows: Any, means: Any, variances: Any) -> None:
    """Fill rows (channel, re/im/inverse, time) at order one, with zeros in the padding.

    ``means`` get the mean of |z|, ``variances`` its summed squared deviations, 0 where those
    are rounding.
    """
    n_times, length = signal.shape[1], rows.shape[2]
    zero, one = np.float32(0), np.float32(1)
    # many plain loops: each of them runs on vectors, one for all would not
    for c in range(signal.shape[0]):
        z = signal[c]
        re, im, inverse = rows[c, 0], rows[c, 1], rows[c, 2]
        part = zero
        for t in range(n_times):
            part += abs(z[t, 0]) + abs(z[t, 1])
        scale = np.float32(n_times) / part if part > zero else zero
        for t in range(n_times):
            re[t] = z[t, 0] * scale
        for t in range(n_times):
            im[t] = z[t, 1] * scale
        total = zero
        for t in range(n_times):
            inverse[t] = np.sqrt(re[t] * re[t] + im[t] * im[t])
            total += inverse[t]
        near = total / np.float32(n_times)
        spread, rest = zero, zero
        for t in range(n_times):
            off = inverse[t] - near
            spread += off * off
            rest += off
        for t in range(n_times):
            inverse[t] = one / inverse[t] if inverse[t] > zero else zero
        for t in range(n_times, length):
            re[t], im[t], inverse[t] = zero, zero, zero
        left = np.float64(rest)
        means[c] = near + left / n_times
        squares = spread - left * left / n_times
        least = 1e-10 * n_times * means[c] * means[c]
        variances[c] = squares if squares > least else 0.0


@kernel(
    device="brainforge.kernels.device.aec:envelope_correlation",
    tolerance=5e-6,
    raw=True,
    takes={"signal": "complex64|complex128 (..., channel, time)"},
)
def envelope_correlation(
    signal: npt.NDArray[np.complexfloating[Any, Any]], *, absolute: bool = False
) -> npt.NDArray[np.float64]:
    """Return the orthogonalised envelope correlation of all pairs of each epoch.

    Parameters
    ----------
    signal : complex array, axes (channel, time) or (epoch, channel, time)
        Analytic signals of one band, any unit.
    absolute : bool
        Take the absolute value of each direction before their mean. Off by default: it
        inflates independent short epochs (0.11 in place of 0 for 6 s of alpha).

    Returns
    -------
    float64 array, axes (pair,) or (epoch, pair)
        Mean of both directions, -1 to 1; 0 where an envelope is constant.

    Raises
    ------
    KernelInputError
        For an array of another shape or without phases.
    """
    check_signal(signal)
    if signal.ndim == 3:
        out = np.empty((len(signal), n_pairs(signal.shape[1])))
        for epoch, pairs in zip(signal, out):
            _correlate(epoch, absolute, pairs)
        return out
    pairs = np.empty(n_pairs(len(signal)))
    _correlate(signal, absolute, pairs)
    return pairs


def check_signal(signal: Any) -> None:
    """Raise KernelInputError unless these are analytic signals of one epoch or more."""
    if signal.ndim not in (2, 3) or not dtype_name(signal).startswith("complex"):
        raise KernelInputError(
            where="signal",
            expected="a complex array of channels x times, or epochs of them",
            got=f"{dtype_name(signal)} of shape {tuple(signal.shape)}",
        )


def _correlate(
    signal: npt.NDArray[np.complexfloating[Any, Any]],
    absolute: bool,
    out: npt.NDArray[np.float64],
) -> None:
    n, n_times = signal.shape
    if n < 2 or n_times < 2:
        out[:] = 0
        return
    # Numba comes with it
    from brainforge.kernels.connectivity.envelope_pairs import pair_correlations

    rows = scratch("envelope rows", (n, 3, whole_groups(n_times)), np.float32)
    means, variances = np.empty(n), np.empty(n)
    single = np.ascontiguousarray(signal, dtype=np.complex64)
    _rows(single.view(np.float32).reshape(n, n_times, 2), rows, means, variances)
    pair_correlations(rows, means, variances, n_times, absolute, out)
