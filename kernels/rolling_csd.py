"""Cross-spectra of bands with an exponential memory, updated by every window, and coherence.

A band's cross-spectrum is the sum over its bins. Its real part is a symmetric rank-k update
(R'R + I'I), its imaginary part G - G' with G = I'R: real products of BLAS. The absolute values of
the imaginary parts are summed as well, window by window.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.errors import KernelInputError
from brainforge.kernels.connectivity.layout import n_pairs
from brainforge.kernels.dispatch import kernel
from brainforge.kernels.jit import lazy_jit
from brainforge.kernels.rolling import F32, F64, RollingPlan
from brainforge.kernels.scratch import scratch


@dataclass
class CsdState:
    """Fading sums.

    Parameters
    ----------
    real : float32 array, axes (band, channel, channel)
        Real parts; the upper triangle counts.
    skew : float32 array, axes (band, channel, channel)
        G transposed: the imaginary part at (i, j) is ``skew[j, i] - skew[i, j]``.
    lagged : float32 array, axes (band, pair)
        Absolute values of the windows' imaginary parts.
    weight, squares : float
        Sum of the windows' weights, and of their squares.
    pairs : float32 array, axes (channel, channel) | None
        Sum of the weights of the windows that are good in both channels; None while all were.
    """

    real: F32
    skew: F32
    lagged: F32
    weight: float = 0.0
    squares: float = 0.0
    pairs: F32 | None = None

    @classmethod
    def empty(cls, plan: RollingPlan, n_channels: int) -> CsdState:
        """Return the sums of nothing."""
        shape = (len(plan.bands), n_channels, n_channels)
        lagged = np.zeros((len(plan.bands), n_pairs(n_channels)), np.float32)
        return cls(np.zeros(shape, np.float32), np.zeros(shape, np.float32), lagged)

    def n_windows(self) -> float:
        """Return how many windows of equal weight would vary as little as these."""
        return self.weight**2 / self.squares if self.squares else 0.0


@kernel(device=None, why_not="a live block is too small: launching takes longer than the work")
def add_csd(
    state: CsdState,
    plan: RollingPlan,
    spectra: F32,
    keep: float,
    good: npt.NDArray[np.bool_] | None = None,
) -> None:
    """Add one window's spectra to the sums after letting them fade.

    Parameters
    ----------
    state : CsdState
        Changed in place.
    plan : RollingPlan
    spectra : float32 array, axes (2 * bin, channel)
        From `roll`; bad channels hold zeros.
    keep : float
        What is left of the old sums, above 0 and at most 1.
    good : bool array, axes (channel,) | None
        Channels whose window counts.

    Raises
    ------
    KernelInputError
        Where shapes or types do not fit.
    """
    from scipy.linalg.blas import sgemm, ssyrk

    n = state.real.shape[1]
    if spectra.shape != (2 * len(plan.middle), n) or spectra.dtype != np.float32:
        raise KernelInputError(
            where="spectra",
            expected=f"float32 of shape {(2 * len(plan.middle), n)}",
            got=f"{spectra.dtype} of shape {spectra.shape}",
        )
    if not 0 < keep <= 1:
        raise KernelInputError(where="keep", expected="above 0, at most 1", got=f"{keep:g}")
    everyone = good is None or bool(good.all())
    if not everyone and state.pairs is None:
        state.pairs = np.full((n, n), state.weight, np.float32)
    state.weight = keep * state.weight + 1.0
    state.squares = keep**2 * state.squares + 1.0
    if state.pairs is not None:
        state.pairs *= np.float32(keep)
        state.pairs += 1 if good is None else np.outer(good, good)
    if not n:
        return
    one = scratch("rolling cross-spectrum", (n, n), np.float32)
    for band, rows in enumerate(plan.rows):
        both = spectra[rows].T
        half = both.shape[1] // 2
        # Fortran order is the transpose of ours: the lower triangle becomes our upper one
        ssyrk(1.0, both, keep, state.real[band].T, lower=1, overwrite_c=1)
        sgemm(1.0, both[:, half:], both[:, :half], 0.0, one.T, trans_b=1, overwrite_c=1)
        _add_lagged(one, np.float32(keep), state.skew[band], state.lagged[band])


@lazy_jit(["void(float32[:,::1], float32, float32[:,::1], float32[::1])"])
def _add_lagged(one: Any, keep: Any, skew: Any, lagged: Any) -> None:
    n = one.shape[0]
    columns = np.empty((16, n), np.float32)
    for first in range(0, n, 16):
        last = min(first + 16, n)
        for j in range(first + 1, n):
            line = one[j, first:last]
            for i in range(line.size):
                columns[i, j] = line[i]
        for i in range(first, last):
            row, old = one[i], skew[i]
            for j in range(n):
                old[j] = keep * old[j] + row[j]
            at = i * (2 * n - i - 1) // 2
            target = lagged[at : at + n - 1 - i]
            b, column = one[i, i + 1 :], columns[i - first, i + 1 :]
            for j in range(target.size):
                target[j] = keep * target[j] + abs(column[j] - b[j])


@lazy_jit(
    [
        "void(float32[:,::1], float32[:,::1], float32[::1],"
        " Array(float32, 1, 'C', readonly=True), float32[:,::1], boolean,"
        " float32[::1], float32[::1], float32[::1])"
    ]
)
def _coherence(
    real: Any,
    skew: Any,
    lagged: Any,
    inverse: Any,
    pairs: Any,
    uneven: Any,
    out: Any,
    imaginary: Any,
    wpli: Any,
) -> None:
    n = real.shape[0]
    one, none, tiny = np.float32(1), np.float32(0), np.float32(1e-6)
    scale = np.empty(n, np.float32)
    columns = np.empty((16, n), np.float32)
    for first in range(0, n, 16):
        last = min(first + 16, n)
        # whole cache lines of 16 columns, turned, so that the loop below runs along rows
        for j in range(first + 1, n):
            line = skew[j, first:last]
            for i in range(line.size):
                columns[i, j] = line[i]
        for i in range(first, last):
            at = i * (2 * n - i - 1) // 2
            target = out[at : at + n - 1 - i]
            signed = imaginary[at : at + n - 1 - i]
            share, size = wpli[at : at + n - 1 - i], lagged[at : at + n - 1 - i]
            a, b, column = real[i, i + 1 :], skew[i, i + 1 :], columns[i - first, i + 1 :]
            others = inverse[i + 1 :]
            own, factor = inverse[i], scale[i + 1 :]
            for j in range(target.size):
                factor[j] = own * others[j]
            if uneven:
                both = pairs[i, i + 1 :]
                for j in range(target.size):
                    factor[j] *= one / both[j] if both[j] > tiny else none
            for j in range(target.size):
                imag = column[j] - b[j]
                target[j] = min(np.sqrt(a[j] * a[j] + imag * imag) * factor[j], one)
                signed[j] = max(min(imag * factor[j], one), -one)
                share[j] = min(abs(imag) / size[j], one) if size[j] > none else none


@kernel(device=None, why_not="a live block is too small: launching takes longer than the work")
def band_coherence(state: CsdState) -> tuple[F32, F32, F32]:
    """Return coherence, imaginary coherence and wPLI of every pair in every band.

    Parameters
    ----------
    state : CsdState

    Returns
    -------
    coherence : float32 array, axes (band, pair)
        ``|S_ij| / sqrt(S_ii S_jj)`` of the bands' cross-spectra, pairs in the order of
        ``numpy.triu_indices(n, 1)``; 0 for channels without power. The sum over a band's bins
        comes first (Daniell's smoothing over frequency), so a band counts as one estimate of
        all its bins and windows, and its bias is that of windows x bins.
    imaginary : float32 array, axes (band, pair)
        ``Im(S_ij) / sqrt(S_ii S_jj)``, signed, S being ``X_i * conj(X_j)``.
    wpli : float32 array, axes (band, pair)
        Weighted phase-lag index, 0 to 1, of the windows' cross-spectra of the band (Vinck et al.
        2011, NeuroImage 55:1548-1565); not debiased, and windows that overlap count as one.
    """
    n_bands, n = state.real.shape[:2]
    out = np.empty((n_bands, n_pairs(n)), np.float32)
    imaginary, wpli = np.empty_like(out), np.empty_like(out)
    pairs = state.pairs
    uneven = pairs is not None
    # a channel's power holds windows that a pair does not
    own = np.ones(n) if pairs is None else np.sqrt(np.diagonal(pairs).astype(np.float64))
    for band in range(n_bands):
        power = np.diagonal(state.real[band])
        floor = 1e-12 * power.max(initial=0.0)
        inverse = np.where(power > floor, own / np.sqrt(np.maximum(power, 1e-30)), 0.0)
        _coherence(
            state.real[band], state.skew[band], state.lagged[band], inverse.astype(np.float32),
            state.real[band] if pairs is None else pairs, uneven,
            out[band], imaginary[band], wpli[band],
        )  # fmt: skip
    return out, imaginary, wpli


def band_csd(state: CsdState) -> npt.NDArray[np.complex128]:
    """Return the mean cross-spectral density of every band, axes (band, channel, channel).

    Summed over the band's bins, in unit**2 / Hz; Hermitian, ``X_i * conj(X_j)``.
    """
    upper = np.triu(state.real.astype(np.float64))
    real = upper + np.triu(state.real, 1).transpose(0, 2, 1)
    skew = state.skew.astype(np.float64)
    weight: F64 | float = max(state.weight, 1e-30)
    if state.pairs is not None:
        weight = np.maximum(state.pairs.astype(np.float64), 1e-30)
    cross = real + 1j * (skew.transpose(0, 2, 1) - skew)
    return (cross / weight).astype(np.complex128)
