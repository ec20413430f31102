"""Device twin of `brainforge.kernels.stft`."""

from __future__ import annotations

from typing import Any

import numpy as np

from brainforge.kernels.device.psd import segments_at, window
from brainforge.kernels.namespace import namespace, to_device
from brainforge.kernels.psd import check_signal
from brainforge.kernels.stft import StftPlan, frames_to_keep


def stft(x: Any, plan: StftPlan, good: Any = None, *, n_threads: int = 1) -> Any:
    """Twin of `brainforge.kernels.stft.stft`; ``good`` is a host array."""
    xp = namespace(x)
    check_signal(x, good)
    keep = frames_to_keep(x.shape, plan, good)
    shape = (*keep.shape, plan.n_per_seg // 2 + 1)
    if 0 in shape:
        return xp.zeros(shape, dtype=xp.complex64, device=x.device)
    frames = segments_at(x, np.arange(keep.shape[1]) * plan.step, plan)
    found = xp.fft.rfft(frames * window(plan, x), axis=-1)
    if keep.all():
        return found
    nothing = to_device(np.full((1, 1, 1), complex(np.nan, np.nan), np.complex64), like=x)
    return xp.where(to_device(keep, like=x)[..., None], found, nothing)
