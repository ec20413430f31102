"""Device twins of `brainforge.kernels.connectivity.symmetric_aec`."""

from __future__ import annotations

from typing import Any

import numpy as np

from brainforge.kernels.connectivity.layout import n_pairs, pair_rows
from brainforge.kernels.connectivity.symmetric_aec import Orthogonaliser, check_shape
from brainforge.kernels.namespace import dtype_name, namespace, to_device


def _parts(signal: Any) -> tuple[Any, ...]:
    """Return the real signals that a signal is made of."""
    xp = namespace(signal)
    if dtype_name(signal).startswith("complex"):
        return xp.real(signal), xp.imag(signal)
    return (signal,)


def signal_products(signal: Any) -> Any:
    """Twin of `brainforge.kernels.connectivity.symmetric_aec.signal_products`."""
    check_shape(signal)
    xp = namespace(signal)
    n = signal.shape[0]
    total = xp.zeros((n, n), dtype=xp.float64, device=signal.device)
    for part in _parts(signal) if signal.shape[1] else ():
        exact = xp.astype(part, xp.float64)
        total = total + xp.matmul(exact, exact.T)
    return total


def orthogonalised(signal: Any, found: Orthogonaliser) -> Any:
    """Twin of `brainforge.kernels.connectivity.symmetric_aec.orthogonalised`."""
    xp = namespace(signal)
    parts = _parts(signal)
    kind = np.float64 if dtype_name(parts[0]) == "float64" else np.float32
    matrix = to_device(found.matrix.astype(kind), like=signal)
    done = [xp.matmul(matrix, part) for part in parts]
    return xp.astype(done[0] if len(done) == 1 else done[0] + 1j * done[1], signal.dtype)


def envelope_pairs(signal: Any) -> Any:
    """Twin of `brainforge.kernels.connectivity.symmetric_aec.envelope_pairs`."""
    xp = namespace(signal)
    n, n_times = signal.shape
    if n < 2 or n_times < 2:
        return xp.zeros((n_pairs(n),), dtype=xp.float64, device=signal.device)
    size = xp.astype(xp.abs(signal), xp.float64)
    mean = xp.mean(size, axis=1, keepdims=True)
    off = size - mean
    spread = xp.sqrt(xp.sum(off * off, axis=1, keepdims=True))
    # what is left of a constant envelope is rounding
    varies = spread > 1e-5 * n_times**0.5 * mean
    one = xp.ones_like(spread)
    off = off * xp.where(varies, one / xp.where(varies, spread, one), xp.zeros_like(spread))
    first, second = pair_rows(n)
    at = to_device(np.asarray(first * n + second, dtype=np.int64), like=signal)
    return xp.take(xp.reshape(xp.matmul(off, off.T), (-1,)), at)
