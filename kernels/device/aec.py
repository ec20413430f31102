"""Device twin of `brainforge.kernels.connectivity.aec`."""

from __future__ import annotations

from typing import Any

import numpy as np

from brainforge.kernels.connectivity.aec import check_signal
from brainforge.kernels.connectivity.layout import n_pairs
from brainforge.kernels.device.launch import MOST_BLOCKS, launch
from brainforge.kernels.device.scratch import batch
from brainforge.kernels.namespace import contiguous, namespace

_TILE = 32
_STEP = 32
_SPAN = 256
#: threads of a block that finishes pairs
_FINISH = 128


def envelope_correlation(signal: Any, *, absolute: bool = False) -> Any:
    """Twin of `brainforge.kernels.connectivity.aec.envelope_correlation`."""
    check_signal(signal)
    xp = namespace(signal)
    n_channels, n_times = signal.shape[-2:]
    epochs = signal[None, ...] if signal.ndim == 2 else signal
    if n_channels < 2 or n_times < 2 or not epochs.shape[0]:
        out = xp.zeros(
            (epochs.shape[0], n_pairs(n_channels)), dtype=xp.float64, device=signal.device
        )
    else:
        # epochs are an axis of the launch
        size = min(batch(40 * n_pairs(n_channels) + 24 * n_channels * n_times), MOST_BLOCKS[2])
        parts = [
            _correlate(epochs[at : min(at + size, epochs.shape[0]), :, :], absolute)
            for at in range(0, epochs.shape[0], size)
        ]
        out = parts[0] if len(parts) == 1 else xp.concat(parts, axis=0)
    return out[0, :] if signal.ndim == 2 else out


def _correlate(epochs: Any, absolute: bool) -> Any:
    xp = namespace(epochs)
    single = contiguous(xp.astype(epochs, xp.complex64))
    n_epochs, n, n_times = single.shape
    total = xp.sum(xp.abs(xp.real(single)) + xp.abs(xp.imag(single)), axis=-1)
    some = total > 0
    scale = xp.where(some, n_times / xp.where(some, total, xp.ones_like(total)), total)
    size = xp.astype(xp.abs(single) * scale[:, :, None], xp.float64)
    means = xp.mean(size, axis=-1)
    variances = xp.sum((size - means[:, :, None]) ** 2, axis=-1)
    # what is left of a constant envelope is rounding
    variances = xp.where(
        variances > 1e-10 * n_times * means**2, variances, xp.zeros_like(variances)
    )
    shape = (n_epochs, 5, n_pairs(n))
    sums = xp.zeros(shape, dtype=xp.float64, device=epochs.device)
    tiles = -(-n // _TILE)
    constants = {"TILE": _TILE, "STEP": _STEP, "SPAN": _SPAN, "THREADS": (_TILE // 4) ** 2}
    launch(
        "envelope_pairs",
        "pair_sums",
        (tiles * (tiles + 1) // 2, n_epochs),
        ((_TILE // 4) ** 2,),
        (single, contiguous(scale), np.int32(n), np.int32(n_times), sums),
        like=epochs,
        constants=constants,
    )
    out = xp.zeros((n_epochs, n_pairs(n)), dtype=xp.float64, device=epochs.device)
    launch(
        "envelope_pairs",
        "finish",
        (-(-(n - 1) // _FINISH), n - 1, n_epochs),
        (_FINISH,),
        (sums, contiguous(means), contiguous(variances), np.int32(n), np.int32(n_times),
         np.int32(absolute), out),
        like=epochs,
        constants=constants,
    )  # fmt: skip
    return out
