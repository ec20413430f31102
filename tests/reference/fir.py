"""Plain float64 definitions of the FIR kernels."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]


def decimate(
    raw: npt.NDArray[Any],
    taps: F64,
    k: int,
    n_out: int,
    first: int = 0,
    offset: Any = 0.0,
    scale: Any = 1.0,
) -> F64:
    """Convolve every row at full rate, then take every k-th sample from ``first`` on."""
    offset = np.broadcast_to(np.asarray(offset, dtype=np.float64), raw.shape[0])
    scale = np.broadcast_to(np.asarray(scale, dtype=np.float64), raw.shape[0])
    rows = []
    for r, row in enumerate(raw.astype(np.float64)):
        full = np.convolve(row - offset[r], taps, mode="valid")
        rows.append(scale[r] * full[first::k][:n_out])
    return np.array(rows).reshape(raw.shape[0], n_out)


def convolve_valid(x: npt.NDArray[Any], taps: F64) -> F64:
    """Convolve every row and keep what depends on given samples only."""
    n_out = x.shape[1] - len(taps) + 1
    rows = [np.convolve(row, taps, mode="valid") for row in x.astype(np.float64)]
    return np.array(rows).reshape(x.shape[0], n_out)


def odd_extend(x: F64, n: int) -> F64:
    """Extend both ends of every row by odd reflection; where it runs out, hold the last value."""
    m = min(n, x.shape[1] - 1)
    left = 2 * x[:, :1] - x[:, m:0:-1]
    right = 2 * x[:, -1:] - x[:, -2 : -m - 2 : -1]
    out = np.concatenate([left, x, right], axis=1)
    return np.pad(out, ((0, 0), (n - m, n - m)), mode="edge")


def two_stage(x: F64, start: int, k: int, h1: F64, h2: F64) -> tuple[F64, int]:
    """Filter and decimate one segment that begins at absolute source sample ``start``.

    Returns the outputs m with ``start <= m * k < start + n`` and the first m.
    """
    c1, c2 = len(h1) // 2, len(h2) // 2
    reach = c1 + k * c2
    extended = odd_extend(x, reach)
    origin = start - reach
    first, last = -(-start // k), -(-(start + x.shape[1]) // k)
    y1 = []
    full = np.array([np.convolve(row, h1, mode="valid") for row in extended])
    for m in range(first - c2, last + c2):
        y1.append(full[:, m * k - c1 - origin])
    return convolve_valid(np.array(y1).T, h2), first
