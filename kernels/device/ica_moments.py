"""Device twin of `brainforge.kernels.ica_moments`: two products and one fused look."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.kernels.device.launch import launch
from brainforge.kernels.ica_moments import Moments, check_sources
from brainforge.kernels.namespace import contiguous, namespace, to_device

_THREADS, _PER_THREAD = 256, 16
#: samples whose products are summed in float32
_TILE = 4096


def source_moments(
    x: Any, w: npt.NDArray[np.float64], *, curvature: bool = True, n_threads: int = 1
) -> Moments:
    """Twin of `brainforge.kernels.ica_moments.source_moments`; ``w`` is a host array."""
    check_sources(x, w)
    xp = namespace(x)
    n, n_samples = x.shape
    y = contiguous(xp.matmul(to_device(w.astype(np.float32), like=x), x))
    psi = xp.empty_like(y)
    dpsi, square = (xp.empty_like(y if curvature else y[:1, :1]) for _ in range(2))
    n_blocks = -(-n_samples // (_THREADS * _PER_THREAD))
    sums = xp.empty((n, n_blocks, 2), dtype=xp.float64, device=x.device)
    launch(
        "ica_score",
        "score",
        (n_blocks, n),
        (_THREADS,),
        (y, np.int64(n_samples), psi, dpsi, square, sums),
        like=x,
        constants={"THREADS": _THREADS, "PER_THREAD": _PER_THREAD, "CURVATURE": int(curvature)},
    )
    means = xp.sum(sums, axis=1) / n_samples
    nothing = xp.zeros((n, n), dtype=xp.float64, device=x.device)
    return Moments(
        means[:, 0],
        means[:, 1],
        _products(psi, y) / n_samples,
        _products(dpsi, square) / n_samples if curvature else nothing,
    )


def _products(a: Any, b: Any) -> Any:
    """Return sums over samples of all products of rows: float32 in tiles, float64 over them."""
    xp = namespace(a)
    n, n_samples = a.shape
    tiles = n_samples // _TILE
    end = tiles * _TILE

    def tiled(rows: Any, axes: tuple[int, ...]) -> Any:
        return xp.permute_dims(xp.reshape(rows[:, :end], (n, tiles, _TILE)), axes)

    rest = xp.matmul(a[:, end:], xp.permute_dims(b[:, end:], (1, 0)))
    total = xp.astype(rest, xp.float64)
    if tiles:
        parts = xp.matmul(tiled(a, (1, 0, 2)), tiled(b, (1, 2, 0)))
        total = total + xp.sum(parts, axis=0, dtype=xp.float64)
    return total
