"""Device twin of `brainforge.kernels.iir`: one thread a channel."""

from __future__ import annotations

from typing import Any

import numpy as np

from brainforge.errors import KernelInputError
from brainforge.kernels.device.launch import launch
from brainforge.kernels.iir import check_state, checked_sos
from brainforge.kernels.namespace import contiguous, dtype_name, namespace, to_device

_THREADS = 32  # few a block, so that as many SMs as possible get one
_C = {"float32": "float", "float64": "double"}


def sosfilt(x: Any, sos: Any, state: Any, *, out: Any = None, n_threads: int = 1) -> Any:
    """Twin of `brainforge.kernels.iir.sosfilt`; ``sos`` is on the host, ``state`` beside x."""
    xp = namespace(x, state)
    sections = checked_sos(sos)
    check_state(state.shape, dtype_name(state), len(sections), x.shape[1])
    if out is not None:
        raise KernelInputError(
            where="out", expected="None on a device", got="a buffer", fix="take what is returned"
        )
    if not len(sections):
        return xp.asarray(x, copy=True)
    n, channels = x.shape
    y = xp.empty((n, channels), dtype=x.dtype, device=x.device)
    if n:
        launch(
            "iir",
            "cascade",
            (-(-channels // _THREADS),),
            (_THREADS,),
            (
                contiguous(x),
                to_device(sections, like=x),
                state,
                y,
                np.int32(n),
                np.int32(channels),
            ),
            like=x,
            constants={"REAL": _C[dtype_name(x)], "SECTIONS": len(sections)},
        )
    return y
