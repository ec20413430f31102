"""Device twin of `brainforge.kernels.event_sums`: a thread for each row and lag."""

from __future__ import annotations

from typing import Any

import numpy as np

from brainforge.kernels.device.launch import launch
from brainforge.kernels.event_sums import Index, check_stretches
from brainforge.kernels.namespace import contiguous, to_device

_THREADS = 128


def add_stretches(
    data: Any, rows: Index, begins: Index, groups: Index, sums: Any, *, n_threads: int = 1
) -> Any:
    """Twin of `brainforge.kernels.event_sums.add_stretches`; the indices are host arrays."""
    check_stretches(data, rows, begins, groups, sums)
    n_rows, n_lags = sums.shape[1:]
    index = [to_device(np.asarray(a, dtype=np.int64), like=data) for a in (rows, begins, groups)]
    launch(
        "event_sums",
        "add_stretches",
        (-(-n_lags // _THREADS), n_rows if len(begins) else 0),
        (_THREADS,),
        (
            contiguous(data), np.int64(data.shape[1]), *index,
            np.int32(len(begins)), np.int32(n_rows), np.int32(n_lags), sums,
        ),
        like=data,
    )  # fmt: skip
    return sums
