"""PCA whitening of sensors of several kinds, from a covariance: float64 but for its application.

Each kind of sensor (magnetometers in fT, gradiometers in fT/cm) is first scaled to unit mean
variance, so that the choice of principal components depends on neither units nor numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from brainforge.errors import KernelInputError
from brainforge.kernels.apply import apply_matrix
from brainforge.kernels.dispatch import kernel

#: an eigenvalue below this share of the largest is rounding of float32 data, not signal
RELATIVE_FLOOR = 1e-7
#: a fall between neighbouring eigenvalues by at least this factor ends the signal space
GAP = 1e3

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Whitening:
    """Maps between sensors and uncorrelated components of unit variance.

    Parameters
    ----------
    whitener : float64 array, axes (component, channel)
    dewhitener : float64 array, axes (channel, component)
        ``whitener @ dewhitener`` is the identity.
    eigenvalues : float64 array, axes (channel,)
        All eigenvalues of the scaled covariance, falling.
    rank : int
        Dimensions that hold signal.
    scale : float64 array, axes (channel,)
        What each channel was divided by before the decomposition.
    """

    whitener: Floats
    dewhitener: Floats
    eigenvalues: Floats
    rank: int
    scale: Floats

    @property
    def explained(self) -> float:
        """Share of the scaled variance inside the kept components (0..1)."""
        total = self.eigenvalues.sum()
        kept = self.eigenvalues[: len(self.whitener)].sum()
        return float(kept / total) if total > 0 else 0.0


def kind_scale(covariance: Floats, kinds: Sequence[str]) -> Floats:
    """Return each channel's scale: the root mean variance over the channels of its kind.

    Parameters
    ----------
    covariance : float64 array, axes (channel, channel)
    kinds : sequence of str, one per channel

    Returns
    -------
    float64 array, axes (channel,)
        1 for a kind without any variance.
    """
    variance = np.diag(covariance)
    labels = np.asarray(kinds)
    scale = np.ones(len(variance))
    for kind in dict.fromkeys(kinds):
        rows = labels == kind
        rms = float(np.sqrt(variance[rows].mean()))
        if rms > 0:
            scale[rows] = rms
    return scale


def estimate_rank(eigenvalues: Floats) -> int:
    """Return how many eigenvalues hold signal.

    The first fall by `GAP` below the median of the upper half ends the signal space; without
    one, everything above `RELATIVE_FLOOR` of the largest counts.

    Parameters
    ----------
    eigenvalues : float64 array
        Falling.
    """
    if not len(eigenvalues) or eigenvalues[0] <= 0:
        return 0
    above = int(np.count_nonzero(eigenvalues > RELATIVE_FLOOR * eigenvalues[0]))
    kept = eigenvalues[:above]
    falls = np.flatnonzero(kept[:-1] > GAP * kept[1:])
    typical = np.median(kept[: (above + 1) // 2])
    ends = [i + 1 for i in falls if kept[i + 1] < typical / GAP]
    return int(ends[0]) if ends else above


@kernel(device=None, why_not="decomposes a channels x channels matrix in float64 once")
def pca_whitening(
    covariance: Floats,
    n_components: int | None = None,
    *,
    kinds: Sequence[str] | None = None,
    rank: int | None = None,
) -> Whitening:
    """Return the whitener onto the strongest principal components.

    Parameters
    ----------
    covariance : float64 array, axes (channel, channel)
        Symmetric; a Gram matrix over its number of samples.
    n_components : int | None
        Components to keep; at most the rank. None keeps the rank.
    kinds : sequence of str | None
        Kind of each channel, for the scaling; None scales all alike.
    rank : int | None
        Where it is known (after field correction); estimated otherwise.

    Raises
    ------
    KernelInputError
        Not square, not symmetric, not finite, without variance, or a rank or a number of
        components out of range.
    """
    cov = np.asarray(covariance, dtype=np.float64)
    n = len(cov)
    _check_covariance(cov)
    kinds = ["channel"] * n if kinds is None else list(kinds)
    if len(kinds) != n:
        raise KernelInputError(where="kinds", expected=f"{n} kinds", got=str(len(kinds)))
    scale = kind_scale(cov, kinds)
    values, vectors = np.linalg.eigh(cov / np.outer(scale, scale))
    values, vectors = np.maximum(values[::-1], 0.0), vectors[:, ::-1]
    found = estimate_rank(values)
    rank = found if rank is None else min(rank, found)
    keep = rank if n_components is None else n_components
    if not 1 <= keep <= rank:
        raise KernelInputError(
            where="n_components",
            expected=f"1 to the rank, {rank}",
            got=str(keep),
            fix="ask for fewer components or give more independent channels",
        )
    # a fixed sign, so that the same data give the same components on every machine
    top = vectors[:, :keep]
    top = top * np.where(top[np.argmax(np.abs(top), axis=0), np.arange(keep)] < 0, -1.0, 1.0)
    root = np.sqrt(values[:keep])
    return Whitening((top / root).T / scale, top * root * scale[:, None], values, rank, scale)


@kernel(
    device="brainforge.kernels.device.whitening:whiten",
    tolerance=2e-6,
    takes={"data": "float32 (channel, sample)"},
)
def whiten(
    white: Whitening,
    data: npt.NDArray[np.float32],
    mean: Floats | None = None,
    *,
    n_threads: int = 1,
) -> npt.NDArray[np.float32]:
    """Return the whitened components of a block: the part that touches the time axis.

    Parameters
    ----------
    white : Whitening
    data : float32 array, axes (channel, sample)
        In the units of the covariance that ``white`` was made from.
    mean : float64 array, axes (channel,) | None
        Taken off first; it costs an addition per component, not per channel.
    n_threads : int
        Threads over tiles of samples; hold BLAS to one thread (`single_threaded_blas`) where
        it is over 1.

    Returns
    -------
    float32 array, axes (component, sample)
        Of unit variance where the data have the covariance.

    Raises
    ------
    KernelInputError
        Where shapes or types do not fit.
    """
    out = apply_matrix(white.whitener, data, n_threads=n_threads)
    if mean is not None:
        out -= component_mean(white, mean)
    return out


def component_mean(white: Whitening, mean: Floats) -> npt.NDArray[np.float32]:
    """Return the mean of the components, float32, axes (component, 1), from the channels'."""
    mean = np.asarray(mean, dtype=np.float64)
    if mean.shape != (white.whitener.shape[1],):
        raise KernelInputError(
            where="mean", expected=f"{white.whitener.shape[1]} numbers", got=f"shape {mean.shape}"
        )
    return np.asarray((white.whitener @ mean)[:, None], dtype=np.float32)


def _check_covariance(cov: Floats) -> None:
    if cov.ndim != 2 or cov.shape[0] != cov.shape[1] or not len(cov):
        raise KernelInputError(
            where="covariance", expected="a square matrix", got=f"shape {cov.shape}"
        )
    if not np.isfinite(cov).all():
        raise KernelInputError(
            where="covariance",
            expected="finite numbers",
            got="NaN or infinity",
            fix="mask those samples first",
        )
    if not np.allclose(cov, cov.T, rtol=1e-5, atol=1e-8 * np.abs(cov).max()):
        raise KernelInputError(where="covariance", expected="a symmetric matrix", got="another")
    if not np.diag(cov).max() > 0:
        raise KernelInputError(
            where="covariance", expected="channels with variance", got="only flat ones"
        )
