"""Device twin of `brainforge.kernels.decimate`: CUDA source for the four types of counts."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.errors import KernelInputError
from brainforge.kernels.decimate import check_out, checked_rows, per_row
from brainforge.kernels.device.launch import launch
from brainforge.kernels.namespace import contiguous, dtype_name, namespace, to_device

#: type of the counts -> (its name in C, the type in which the offset is taken off)
_TYPES = {
    "int16": ("short", "float"),
    "int32": ("int", "double"),
    "float32": ("float", "float"),
    "float64": ("double", "double"),
}
_THREADS = 128
#: words of shared memory for samples and taps; 48 KiB is what every device grants
_WORDS = 11_000


def decimate(
    raw: Any,
    phases: npt.NDArray[np.float32],
    n_out: int,
    *,
    first: int = 0,
    rows: npt.ArrayLike | None = None,
    offset: npt.ArrayLike = 0.0,
    scale: npt.ArrayLike = 1.0,
    out: Any = None,
    at: int = 0,
    n_threads: int = 1,
) -> Any:
    """Twin of `brainforge.kernels.decimate.decimate`; the parameters are host arrays."""
    xp = namespace(raw)
    k, n_taps = phases.shape
    kind = dtype_name(raw)
    picked = checked_rows(raw.shape, kind, k, n_out, first, rows)
    n = len(picked)
    if out is None:
        out, at = xp.empty((n, n_out), dtype=xp.float32, device=raw.device), 0
    check_out(out.shape, dtype_name(out), n, at, n_out)
    if not n or not n_out:
        return out
    name, real = _TYPES[kind]
    tile = min(512, (_WORDS - 2 * k * n_taps) // k)
    if tile < 1:
        raise KernelInputError(
            where="phases",
            expected=f"at most {_WORDS // 2 - k} taps on a device",
            got=f"{k * n_taps}",
            fix="decimate in two stages, or use overlap_save",
        )
    constants = {"RAW": name, "REAL": real, "K": k, "N_TAPS": n_taps, "TILE": tile}
    small = (
        per_row(offset, n, "offset", np.float64),
        per_row(scale, n, "scale", np.float32),
        phases,
    )
    launch(
        "decimate",
        "decimate_rows",
        (-(-n_out // tile), n),
        (_THREADS,),
        (
            contiguous(raw),
            to_device(picked, like=raw),
            np.int64(raw.shape[1]),
            np.int64(first),
            *(to_device(part, like=raw) for part in small),
            out,
            np.int32(n_out),
            np.int64(out.shape[1]),
            np.int64(at),
        ),
        like=raw,
        constants=constants,
    )
    return out
