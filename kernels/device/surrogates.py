"""Device twins of `brainforge.kernels.surrogates`: gathers; what is drawn comes from the host."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.kernels.namespace import namespace, to_device
from brainforge.kernels.surrogates import check_shifts, exchanged_rows


def rotated(signal: Any, shifts: npt.NDArray[np.int64]) -> Any:
    """Twin of `brainforge.kernels.surrogates.rotated`; ``shifts`` are on the host."""
    check_shifts(signal, shifts)
    xp = namespace(signal)
    n_times = signal.shape[-1]
    if 0 in signal.shape:
        return signal
    n_rows = shifts.size
    late = to_device(np.asarray(shifts, dtype=np.int64).reshape(-1, 1) % n_times, like=signal)
    time = xp.arange(n_times, dtype=xp.int64, device=signal.device)
    begin = xp.arange(n_rows, dtype=xp.int64, device=signal.device) * n_times
    at = (time[None, :] - late + n_times) % n_times + begin[:, None]
    flat = xp.take(xp.reshape(signal, (-1,)), xp.reshape(at, (-1,)))
    return xp.reshape(flat, signal.shape)


def exchanged(signals: Any, order: npt.NDArray[np.int64]) -> Any:
    """Twin of `brainforge.kernels.surrogates.exchanged`; ``order`` is on the host."""
    xp = namespace(signals)
    rows = exchanged_rows(signals, order)
    shape = (*rows.shape, signals.shape[2])
    if 0 in shape:
        return xp.zeros(shape, dtype=signals.dtype, device=signals.device)
    flat = xp.reshape(signals, (-1, signals.shape[2]))
    at = to_device(np.ascontiguousarray(rows.reshape(-1)), like=signals)
    return xp.reshape(xp.take(flat, at, axis=0), shape)
