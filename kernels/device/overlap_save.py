"""Device twin of `brainforge.kernels.overlap_save`."""

from __future__ import annotations

from typing import Any

import numpy as np

from brainforge.kernels.device.scratch import batch
from brainforge.kernels.namespace import namespace, to_device
from brainforge.kernels.overlap_save import LINE_ENDS, FirPlan, check_rows


def overlap_save(x: Any, plan: FirPlan, *, out: Any = None, n_threads: int = 1) -> Any:
    """Twin of `brainforge.kernels.overlap_save.overlap_save`; ``out`` must be None."""
    xp = namespace(x)
    n_out = check_rows(x, plan)
    n_channels = x.shape[0]
    if not n_channels or not n_out:
        return xp.zeros((n_channels, n_out), dtype=xp.float32, device=x.device)
    rows = batch(12 * plan.n_fft)
    pieces = []
    for begin in range(0, n_out, plan.block):
        end = min(begin + plan.block, n_out) + 2 * plan.half
        cuts = [(at, min(at + rows, n_channels)) for at in range(0, n_channels, rows)]
        parts = [_filter(x[a:b, begin:end], plan) for a, b in cuts]
        pieces.append(parts[0] if len(parts) == 1 else xp.concat(parts, axis=0))
    return pieces[0] if len(pieces) == 1 else xp.concat(pieces, axis=1)


def _filter(x: Any, plan: FirPlan) -> Any:
    """Filter one block; the straight line between its ends goes round the transform."""
    xp = namespace(x)
    n, ends = x.shape[1], min(LINE_ENDS, x.shape[1])
    low = xp.mean(xp.astype(x[:, :ends], xp.float64), axis=1, keepdims=True)
    high = xp.mean(xp.astype(x[:, n - ends :], xp.float64), axis=1, keepdims=True)
    course = to_device(np.linspace(0.0, 1.0, n, dtype=np.float32)[None, :], like=x)
    line = xp.astype(low, xp.float32) + xp.astype(high - low, xp.float32) * course
    spectrum = xp.fft.rfft(x - line, n=plan.n_fft, axis=1)
    y = xp.fft.irfft(spectrum * to_device(plan.response, like=x)[None, :], n=plan.n_fft, axis=1)
    inner = slice(plan.half, n - plan.half)
    return xp.astype(y[:, inner], xp.float32) + float(plan.gain) * line[:, inner]
