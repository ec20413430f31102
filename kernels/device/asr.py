"""Device twins of `brainforge.kernels.asr`: the products come home to be decomposed."""

from __future__ import annotations

from typing import Any

import numpy as np

from brainforge.kernels.asr import AsrState, Removal, check_hop, check_removals, judge
from brainforge.kernels.asr_fit import AsrModel
from brainforge.kernels.device.iir import sosfilt
from brainforge.kernels.namespace import is_device, namespace, to_device, to_host


def asr_assess(state: AsrState, model: AsrModel, x: Any) -> Removal:
    """Twin of `brainforge.kernels.asr.asr_assess`; the filter's state moves to the device."""
    xp = namespace(x)
    check_hop(model, x.shape)
    if not is_device(state.filter):
        state.filter = to_device(state.filter, like=x)
    shaped = sosfilt(xp.matrix_transpose(x), model.shaping, state.filter)
    z = xp.matmul(to_device(model.whitener, like=x), xp.matrix_transpose(shaped))
    return judge(state, model, to_host(xp.matmul(z, xp.matrix_transpose(z))), x.shape[1])


def asr_remove(x: Any, before: Removal, after: Removal) -> Any:
    """Twin of `brainforge.kernels.asr.asr_remove`; the removals are on the host."""
    xp = namespace(x)
    check_removals(x.shape, before, after)
    if not before.rank and not after.rank:
        return x
    n = x.shape[1]
    rise = (0.5 - 0.5 * np.cos(np.pi * np.arange(1, n + 1) / n)).astype(np.float32)
    mixing = np.concatenate([before.mixing, after.mixing], axis=1)
    unmixing = np.concatenate([before.unmixing, after.unmixing], axis=0)
    fade = np.concatenate([np.tile(1 - rise, (before.rank, 1)), np.tile(rise, (after.rank, 1))])
    sources = to_device(fade, like=x) * xp.matmul(to_device(unmixing, like=x), x)
    return x - xp.matmul(to_device(mixing, like=x), sources)
