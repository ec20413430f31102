"""Device twins of `brainforge.kernels.zapline`; the small decompositions are made at home."""

from __future__ import annotations

from typing import Any

import numpy as np

from brainforge.kernels.namespace import namespace, to_device, to_host
from brainforge.kernels.zapline import (
    LineFit,
    check_finite,
    check_line,
    effective_samples,
    fit_line,
    hann,
    line_waves,
    period_parts,
    period_weight,
)


def line_residual(x: Any, period: float) -> Any:
    """Twin of `brainforge.kernels.zapline.line_residual`, by differences of a running sum."""
    xp = namespace(x)
    half, rest = period_parts(period)
    n_channels, n = x.shape
    edge = xp.zeros((n_channels, half + 1), dtype=xp.float64, device=x.device)
    padded = xp.concat([edge, xp.astype(x, xp.float64), edge], axis=1)
    running = xp.cumulative_sum(padded, axis=1)
    total = running[:, 2 * half + 1 : 2 * half + 1 + n] - running[:, :n]
    outer = padded[:, :n] + padded[:, 2 * half + 2 : 2 * half + 2 + n]
    weight = to_device(period_weight(n, period), like=x)
    mean = (total + rest * outer) / weight[None, :]
    return xp.astype(xp.astype(x, xp.float64) - mean, xp.float32)


def zapline(
    x: Any,
    sfreq: float,
    line_freq: float,
    *,
    n_remove: int | None = None,
    half_width: float = 0.5,
) -> tuple[Any, LineFit]:
    """Twin of `brainforge.kernels.zapline.zapline`; the fit comes home."""
    xp = namespace(x)
    check_line(sfreq, line_freq, n_remove)
    n_channels, n = x.shape
    waves = line_waves(n, sfreq, line_freq, half_width)
    if not n_channels or not len(waves):
        none = np.zeros((0, n_channels))
        return xp.astype(x, xp.float32, copy=True), LineFit(np.zeros(0), 1.0, none, none.T)
    residual = line_residual(x, sfreq / line_freq)
    weighted = residual * to_device(hann(n), like=x)[None, :]
    covariance = xp.matmul(weighted, xp.matrix_transpose(weighted))
    lines = xp.matmul(weighted, xp.matrix_transpose(to_device(waves, like=x)))
    # one trip home for all that the fit needs
    home = to_host(xp.concat([covariance, lines], axis=1)).astype(np.float64)
    check_finite(home[:, :n_channels])
    fit = fit_line(
        home[:, :n_channels] / n,
        home[:, n_channels:] / np.sqrt(n),
        effective_samples(n),
        n_remove=n_remove,
    )
    if not fit.n_removed:
        return xp.astype(x, xp.float32, copy=True), fit
    unmixing = to_device(fit.unmixing.astype(np.float32), like=x)
    mixing = to_device(fit.mixing.astype(np.float32), like=x)
    artifact = xp.matmul(mixing, xp.matmul(unmixing, residual))
    return xp.astype(x - xp.astype(artifact, x.dtype), xp.float32), fit
