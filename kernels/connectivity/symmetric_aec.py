"""Envelope correlation after symmetric orthogonalisation (Colclough et al. 2015).

Pairwise orthogonalisation takes out what two channels share at zero lag, but leaves what leaks
to both from a third. Here all channels are replaced at once by the mutually orthogonal signals
that lie nearest to them: by turns the nearest orthonormal signals are found for given lengths,
and the best lengths for given signals. Both need only the matrix of the channels' products, so
that time is touched twice, whatever the number of turns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.errors import KernelInputError
from brainforge.kernels.connectivity.layout import n_pairs, pair_rows
from brainforge.kernels.dispatch import kernel
from brainforge.kernels.namespace import dtype_name, to_host

#: power of the weakest direction that still counts as one, of the strongest's; channels of one
_LEAST = 1e-10
#: channels that an error names
_NAMED = 6


@dataclass(frozen=True)
class Orthogonaliser:
    """The matrix that makes channels orthogonal, and how it was found.

    Parameters
    ----------
    matrix : float64 array, axes (channel, channel)
        ``matrix @ signal`` is orthogonal.
    n_iterations : int
        Turns taken.
    converged : bool
        Whether the last turn changed no length by more than the tolerance.
    residual : float
        What was taken away: the squared distance to the signal, of the signal's squared size.
    """

    matrix: npt.NDArray[np.float64]
    n_iterations: int
    converged: bool
    residual: float


@kernel(device="brainforge.kernels.device.symmetric_aec:signal_products")
def signal_products(
    signal: npt.NDArray[Any],
) -> npt.NDArray[np.float64]:
    """Return the products of all channels summed over time, axes (channel, channel).

    Of a complex signal the real part of z_i conj(z_j): what the real signals share at zero lag,
    and the same whatever carrier the analytic signal was shifted by.

    Parameters
    ----------
    signal : array, axes (channel, time)
        Real or complex.

    Raises
    ------
    KernelInputError
        For another shape.
    """
    check_shape(signal)
    wide = np.concatenate([signal.real, signal.imag], 1) if np.iscomplexobj(signal) else signal
    exact = wide.astype(np.float64)
    return exact @ exact.T


def check_shape(signal: Any) -> None:
    """Raise KernelInputError unless these are channels x times."""
    if signal.ndim != 2:
        raise KernelInputError(
            where="signal", expected="channels x times", got=f"shape {tuple(signal.shape)}"
        )


def orthogonaliser(
    products: npt.NDArray[np.float64], *, tolerance: float = 1e-8, max_iterations: int = 500
) -> Orthogonaliser:
    """Find the matrix that makes channels orthogonal and changes them least.

    Parameters
    ----------
    products : float64 array, axes (channel, channel)
        See `signal_products`; those of several epochs may be added up.
    tolerance : float
        Largest change of a length, of its channel's own, at which the search ends.
    max_iterations : int
        It ends there at the latest; the result says whether it had converged.

    Raises
    ------
    KernelInputError
        Where the products are not finite, or the signals have fewer dimensions than channels:
        no such matrix exists.
    """
    n = len(products)
    if products.shape != (n, n):
        raise KernelInputError(
            where="products", expected="channels x channels", got=f"shape {products.shape}"
        )
    if not np.isfinite(products).all():
        raise KernelInputError(
            where="signal", expected="finite samples", got="NaN or infinity", fix="mask them"
        )
    if n == 0:
        return Orthogonaliser(np.zeros((0, 0)), 0, True, 0.0)
    size = np.sqrt(np.diag(products))
    unit = _full_rank(products, size)
    # a root of the products stands for the signal: rotated in time, no turn would notice
    root = np.linalg.cholesky(unit)
    weights = np.square(size / size.max())
    lengths, change, turn = np.ones(n), np.inf, 0
    nearest = np.eye(n)
    while change > tolerance and turn < max_iterations:
        turn += 1
        left, _, right = np.linalg.svd((weights * lengths)[:, None] * root)
        nearest = left @ right
        better = np.sum(nearest * root, axis=1)
        change = float(np.max(np.abs(better - lengths)))
        lengths = better
    residual = 1.0 - float(np.sum((size * lengths) ** 2) / np.sum(size**2))
    mixing = np.linalg.solve(root.T, nearest.T).T
    matrix = (size * lengths)[:, None] * mixing / size
    return Orthogonaliser(matrix, turn, change <= tolerance, max(residual, 0.0))


def _full_rank(
    products: npt.NDArray[np.float64], size: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return the products of channels of size one, if no channel depends on others."""
    flat = np.flatnonzero(size == 0)
    if len(flat):
        more = "" if len(flat) <= _NAMED else f" and {len(flat) - _NAMED} more"
        raise KernelInputError(
            where="signal",
            expected="channels that vary",
            got=f"flat channels at {', '.join(map(str, flat[:_NAMED]))}{more}",
            fix="leave them out",
        )
    unit = products / np.outer(size, size)
    values = np.linalg.eigvalsh(unit)
    rank = int(np.sum(values > _LEAST * values[-1]))
    if rank < len(products):
        raise KernelInputError(
            where="signal",
            expected=f"{len(products)} channels that do not depend on each other",
            got=f"signals of rank {rank}",
            fix=f"take at most {rank} channels or regions (projections, ICA and repair each "
            "lower the rank), longer epochs or a wider band, or orthogonalise pairwise",
        )
    return unit


@kernel(device="brainforge.kernels.device.symmetric_aec:orthogonalised", tolerance=2e-6)
def orthogonalised(signal: npt.NDArray[Any], found: Orthogonaliser) -> npt.NDArray[Any]:
    """Return the orthogonal signals nearest to ``signal``, same shape and dtype.

    Parameters
    ----------
    signal : array, axes (channel, time)
    found : Orthogonaliser
    """
    return np.asarray(found.matrix.astype(signal.real.dtype) @ signal, dtype=signal.dtype)


def symmetric_envelope_correlation(
    signal: npt.NDArray[np.complexfloating[Any, Any]],
    *,
    tolerance: float = 1e-8,
    max_iterations: int = 500,
) -> tuple[npt.NDArray[np.float64], Orthogonaliser]:
    """Return the envelope correlations of one epoch after symmetric orthogonalisation.

    Parameters
    ----------
    signal : complex array, axes (channel, time)
        Analytic signals of one band, any unit; more independent samples than channels. On a
        device they stay there, and only the products come to the host.
    tolerance, max_iterations
        See `orthogonaliser`.

    Returns
    -------
    float64 array, axes (pair,)
        Correlation of the envelopes, -1 to 1; 0 where one is constant.
    Orthogonaliser
        Says whether it converged and how much was taken away.

    Raises
    ------
    KernelInputError
        Where the signal is not complex or finite, or of lower rank than it has channels.
    """
    if not dtype_name(signal).startswith("complex"):
        raise KernelInputError(where="signal", expected="a complex array", got=dtype_name(signal))
    products = to_host(signal_products(signal))
    found = orthogonaliser(products, tolerance=tolerance, max_iterations=max_iterations)
    return envelope_pairs(orthogonalised(signal, found)), found


@kernel(device="brainforge.kernels.device.symmetric_aec:envelope_pairs", tolerance=2e-6)
def envelope_pairs(signal: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return the plain correlations of envelopes |z|, axes (pair,); 0 where one is constant.

    Parameters
    ----------
    signal : array, axes (channel, time)
    """
    n, n_times = signal.shape
    if n < 2 or n_times < 2:
        return np.zeros(n_pairs(n))
    size = np.abs(signal).astype(np.float64)
    mean = size.mean(axis=1, keepdims=True)
    size -= mean
    spread = np.sqrt(np.sum(size**2, axis=1, keepdims=True))
    # what is left of a constant envelope is rounding
    varies = spread > 1e-5 * np.sqrt(n_times) * mean
    size *= np.where(varies, 1.0 / np.where(varies, spread, 1.0), 0.0)
    first, second = pair_rows(n)
    return (size @ size.T)[first, second]
