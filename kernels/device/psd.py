"""Device twin of `brainforge.kernels.psd`."""

from __future__ import annotations

from typing import Any

import numpy as np

from brainforge.kernels.namespace import namespace, to_device
from brainforge.kernels.psd import WelchPlan, good_segments

#: bytes of windowed segments in flight; spectra and squares take as much again
_BATCH = 256 << 20


def segments(x: Any, plan: WelchPlan) -> Any:
    """Return the whole segments of each row, axes (channel, segment, sample)."""
    xp = namespace(x)
    starts = np.arange(plan.n_segments(x.shape[1]))[:, None] * plan.step
    at = to_device((starts + np.arange(plan.n_per_seg)).reshape(-1), like=x)
    return xp.reshape(xp.take(x, at, axis=1), (x.shape[0], len(starts), plan.n_per_seg))


def spectra(segments: Any, plan: WelchPlan) -> Any:
    """Return transforms of the windowed segments, their means taken off."""
    xp = namespace(segments)
    taper = to_device(plan.taper().astype(np.float32), like=segments)
    return xp.fft.rfft((segments - xp.mean(segments, axis=-1, keepdims=True)) * taper, axis=-1)


def welch_sums(x: Any, plan: WelchPlan, good: Any = None, *, n_threads: int = 1) -> tuple[Any, Any]:
    """Twin of `brainforge.kernels.psd.welch_sums`; ``good`` is a host array."""
    xp = namespace(x)
    n_channels, n_seg = x.shape[0], plan.n_segments(x.shape[1])
    shape = (n_channels, plan.n_per_seg // 2 + 1)
    keep = np.ones((n_channels, n_seg), bool) if good is None else good_segments(good, plan)
    count = to_device(keep.sum(axis=1).astype(np.int64), like=x)
    power = xp.zeros(shape, dtype=xp.float64, device=x.device)
    if not n_seg or not n_channels:
        return power, count
    weight = None if keep.all() else to_device(keep.astype(np.float32), like=x)
    batch = max(_BATCH // (8 * n_channels * plan.n_per_seg), 1)
    for begin in range(0, n_seg, batch):
        stop = min(begin + batch, n_seg)
        some = x[:, begin * plan.step : (stop - 1) * plan.step + plan.n_per_seg]
        found = spectra(segments(some, plan), plan)
        square = xp.real(found) ** 2 + xp.imag(found) ** 2
        if weight is not None:
            square = square * weight[:, begin:stop, None]
        power = power + xp.sum(square, axis=1, dtype=xp.float64)
    return power * to_device(plan.one_sided(), like=x), count
