"""Null distributions of envelope correlations, from analytic signals of whole epochs."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.errors import KernelInputError
from brainforge.kernels.connectivity.aec import envelope_correlation
from brainforge.kernels.connectivity.layout import n_pairs
from brainforge.kernels.connectivity.symmetric_aec import symmetric_envelope_correlation
from brainforge.kernels.parallel import parallel_map
from brainforge.kernels.surrogates import SurrogateTest, check_scheme, compared

Signals = npt.NDArray[np.complexfloating[Any, Any]]

#: of one channel against the others: its time rotated within each epoch, or its epochs exchanged
ENVELOPE_SCHEMES = ("shift", "permute")


def rotated(signal: npt.NDArray[Any], shifts: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    """Return each channel delayed around its end by a number of samples of its own.

    Parameters
    ----------
    signal : array, axes (channel, time)
    shifts : int64 array, axes (channel,)
        On the host; any integers.

    Returns
    -------
    array, shape and dtype of ``signal``

    Raises
    ------
    KernelInputError
        Where there is not one shift for each channel.
    """
    return np.take(signal.reshape(-1), rotation(signal.shape, shifts)).reshape(signal.shape)


def rotation(shape: tuple[int, ...], shifts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return where each sample of a rotated signal comes from, flat in C order."""
    if len(shape) != 2 or shifts.shape != shape[:1]:
        raise KernelInputError(
            where="shifts",
            expected=f"one for each channel of a signal of shape {shape}",
            got=f"shape {shifts.shape}",
        )
    n_channels, n_times = shape
    if not n_times:
        return np.zeros(0, dtype=np.int64)
    at = (np.arange(n_times) - shifts[:, None]) % n_times
    return (at + np.arange(n_channels)[:, None] * n_times).reshape(-1)


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
        Analytic signals of one band.
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

    def statistic(epoch: Any) -> npt.NDArray[np.float64]:
        total = np.zeros(n_pairs(n_channels))
        correlate = partial(_correlate, orthogonalize)
        for start in range(0, n_epochs, max(n_threads, 1)):
            some = range(start, min(start + max(n_threads, 1), n_epochs))
            for pairs in parallel_map(lambda e: correlate(epoch(e)), some, n_threads):
                total += pairs
        mean = total / max(n_epochs, 1)
        return np.abs(mean) if two_sided else mean

    def surrogate(rng: np.random.Generator) -> npt.NDArray[np.float64]:
        if scheme == "shift":
            shifts = rng.integers(0, max(n_times, 1), (n_epochs, n_channels))
            return statistic(lambda e: rotated(signals[e], shifts[e]))
        order = rng.permuted(np.tile(np.arange(n_epochs), (n_channels, 1)), axis=1)
        return statistic(lambda e: signals[order[:, e], np.arange(n_channels)])

    return compared(
        statistic(lambda e: signals[e]),
        surrogate,
        n_surrogates=n_surrogates,
        seed=seed,
        quantile=quantile,
        scheme=scheme,
    )


def _correlate(orthogonalize: str, signal: Signals) -> npt.NDArray[np.float64]:
    if orthogonalize == "pairwise":
        return envelope_correlation(signal)
    return symmetric_envelope_correlation(signal)[0]


def _check(signals: Signals, orthogonalize: str, scheme: str) -> None:
    if signals.ndim != 3 or not np.iscomplexobj(signals):
        raise KernelInputError(
            where="signals",
            expected="a complex array of epochs x channels x times",
            got=f"{signals.dtype} of shape {signals.shape}",
        )
    if not np.isfinite(signals).all():
        raise KernelInputError(
            where="signals", expected="finite samples", got="NaN or infinity", fix="mask them"
        )
    if orthogonalize not in ("pairwise", "symmetric"):
        raise KernelInputError(
            where="orthogonalize", expected="pairwise or symmetric", got=repr(orthogonalize)
        )
    least = 2 if scheme == "permute" else 1
    if len(signals) < least:
        raise KernelInputError(
            where="signals", expected=f"at least {least} epochs", got=str(len(signals))
        )
