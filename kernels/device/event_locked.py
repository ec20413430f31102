"""Device twins of `brainforge.kernels.event_locked`: only a figure for each trace comes home."""

from __future__ import annotations

from typing import Any

import numpy as np

from brainforge.kernels.band_limit import analytic_band, band_limit
from brainforge.kernels.device.scratch import batch
from brainforge.kernels.event_locked import (
    PHASE_BAND,
    PHASE_LAGS,
    PHASE_PAD,
    Index,
    PhaseStatistics,
    phase_log10_p,
    settling,
    usable,
)
from brainforge.kernels.namespace import namespace, to_device, to_host
from brainforge.kernels.peaks import windows


def phase_statistics(
    x: Any, events: Index, sfreq: float, *, runs: Any = None, n_threads: int = 1
) -> PhaseStatistics:
    """Twin of `brainforge.kernels.event_locked.phase_statistics`; the result is on the host."""
    samples = usable(x, events, sfreq, PHASE_LAGS + PHASE_PAD, runs)
    if len(samples) < 3 or not x.shape[0]:
        return PhaseStatistics(np.zeros(x.shape[0]), np.zeros(x.shape[0]), len(samples))
    xp, n = namespace(x), len(samples)
    half, pad = int((PHASE_LAGS + PHASE_PAD) * sfreq), int(PHASE_PAD * sfreq)
    step = to_device(np.arange(1, n + 1)[:, None] / n, like=x)
    found = []
    # complex stretches, and those with the mirrored ends
    rows = batch(32 * n * (2 * half + 1))
    for at in range(0, x.shape[0], rows):
        cut, _ = windows(x[at : min(at + rows, x.shape[0]), :], samples, half, half + 1)
        z = analytic_band(cut, sfreq, *PHASE_BAND)[..., pad:-pad]
        turns = xp.atan2(xp.imag(z), xp.real(z)) / (2 * np.pi)
        turns = xp.sort(xp.astype(turns - xp.floor(turns), xp.float64), axis=1)
        above = xp.max(step - turns, axis=1)
        below = xp.max(turns - (step - 1 / n), axis=1)
        found.append(xp.max(above + below, axis=-1))
    distance = to_host(xp.concat(found))
    return PhaseStatistics(distance, phase_log10_p(distance, n), n)


def locked_share(
    x: Any,
    events: Index,
    sfreq: float,
    band: tuple[float, float],
    lags: tuple[float, float],
    *,
    runs: Any = None,
    n_threads: int = 1,
) -> Any:
    """Twin of `brainforge.kernels.event_locked.locked_share`; the result is on the host."""
    reach = settling(band, lags)
    samples = usable(x, events, sfreq, reach, runs)
    n, half = len(samples), int(reach * sfreq)
    if n < 2 or not x.shape[0]:
        return np.zeros(x.shape[0])
    xp = namespace(x)
    near = slice(half + int(lags[0] * sfreq), half + int(lags[1] * sfreq) + 1)
    found = []
    rows = batch(24 * n * (2 * half + 1))
    for at in range(0, x.shape[0], rows):
        cut, _ = windows(x[at : min(at + rows, x.shape[0]), :], samples, half, half + 1)
        limited = xp.astype(band_limit(cut, sfreq, *band)[..., near], xp.float64)
        single = xp.mean(limited**2, axis=(1, 2))
        average = xp.mean(xp.mean(limited, axis=1) ** 2, axis=1)
        found.append(xp.stack([average, single], axis=1))
    average, single = to_host(xp.concat(found, axis=0)).T
    free = (average - single / n) / (1 - 1 / n)
    return np.divide(np.maximum(free, 0.0), single, out=np.zeros(x.shape[0]), where=single > 0)
