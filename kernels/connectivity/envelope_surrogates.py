"""Null distributions of envelope correlations, from analytic signals of whole epochs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from brainforge.errors import KernelInputError
from brainforge.kernels.connectivity.aec import envelope_correlation
from brainforge.kernels.connectivity.symmetric_aec import symmetric_envelope_correlation
from brainforge.kernels.namespace import dtype_name, namespace, to_host
from brainforge.kernels.parallel import parallel_map, slices
from brainforge.kernels.surrogates import (
    SurrogateTest,
    check_scheme,
    compared,
    exchanged,
    rotated,
)

Signals = npt.NDArray[np.complexfloating[Any, Any]]

#: of one channel against the others: its time rotated within each epoch, or its epochs exchanged
ENVELOPE_SCHEMES: Final = ("shift", "permute")
#: epochs made and correlated at a time
_TOGETHER: Final = 8


def envelope_surrogates(
    signals: Signals,
    *,
    orthogonalize: str = "pairwise",
    two_sided: bool = False,
    n_surrogates: int = 199,
    seed: int = 0,
    scheme: str = "shift",
    quantile: float = 0.95,
    n_threads: int = 1,
) -> SurrogateTest:
    """Test the mean envelope correlation of epochs, of all pairs, against surrogates.

    Parameters
    ----------
    signals : complex array, axes (epoch, channel, time)
        Analytic signals of one band, on the host or a device; what is drawn is drawn on the host.
    orthogonalize : {"pairwise", "symmetric"}
        See `brainforge.kernels.connectivity.aec` and `symmetric_aec`.
    two_sided : bool
        Test the absolute value of the mean; otherwise positive correlations only.
    n_surrogates, seed, quantile
        See `brainforge.kernels.surrogates.compared`.
    scheme : {"shift", "permute"}
        Rotate each channel's time within each epoch, which keeps how slowly its envelope moves;
        or exchange each channel's epochs (two at least), which keeps all within an epoch.
    n_threads : int

    Raises
    ------
    KernelInputError
        For signals of another shape or kind, an unknown scheme, too few epochs to exchange, or
        fewer surrogates than the quantile needs.
    """
    check_scheme(scheme, ENVELOPE_SCHEMES)
    _check(signals, orthogonalize, scheme)
    n_epochs, n_channels, n_times = signals.shape
    # the same pieces for any number of threads, so that sums have the same bits
    pieces = slices(n_epochs, -(-n_epochs // _TOGETHER))

    def statistic(of: Callable[[slice], Any]) -> npt.NDArray[np.float64]:
        def total(piece: slice) -> npt.NDArray[np.float64]:
            return to_host(_total(of(piece), orthogonalize))

        totals = parallel_map(total, pieces, n_threads)
        mean = np.sum(totals, axis=0) / max(n_epochs, 1)
        return np.abs(mean) if two_sided else mean

    def surrogate(rng: np.random.Generator) -> npt.NDArray[np.float64]:
        if scheme == "shift":
            shifts = rng.integers(0, max(n_times, 1), (n_epochs, n_channels))
            return statistic(lambda piece: rotated(signals[piece, ...], shifts[piece]))
        order = rng.permuted(np.tile(np.arange(n_epochs), (n_channels, 1)), axis=1)
        return statistic(lambda piece: exchanged(signals, order[:, piece]))

    return compared(
        statistic(lambda piece: signals[piece, ...]),
        surrogate,
        n_surrogates=n_surrogates,
        seed=seed,
        quantile=quantile,
        scheme=scheme,
    )


def _total(signals: Any, orthogonalize: str) -> Any:
    """Return the sum over epochs of the correlations, axes (pair,)."""
    if orthogonalize == "pairwise":
        return namespace(signals).sum(envelope_correlation(signals), axis=0)
    total: Any = 0.0
    for e in range(signals.shape[0]):
        total = total + symmetric_envelope_correlation(signals[e, ...])[0]
    return total


def _check(signals: Signals, orthogonalize: str, scheme: str) -> None:
    if signals.ndim != 3 or not dtype_name(signals).startswith("complex"):
        raise KernelInputError(
            where="signals",
            expected="a complex array of epochs x channels x times",
            got=f"{dtype_name(signals)} of shape {tuple(signals.shape)}",
        )
    xp = namespace(signals)
    if not to_host(xp.reshape(xp.all(xp.isfinite(signals)), (1,)))[0]:
        raise KernelInputError(
            where="signals", expected="finite samples", got="NaN or infinity", fix="mask them"
        )
    if orthogonalize not in ("pairwise", "symmetric"):
        raise KernelInputError(
            where="orthogonalize", expected="pairwise or symmetric", got=repr(orthogonalize)
        )
    least = 2 if scheme == "permute" else 1
    if signals.shape[0] < least:
        raise KernelInputError(
            where="signals", expected=f"at least {least} epochs", got=str(signals.shape[0])
        )
