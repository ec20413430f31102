"""Device twin of the loops behind `brainforge.kernels.raw_statistics`: one launch a block."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.kernels.device.launch import launch
from brainforge.kernels.namespace import contiguous, dtype_name, namespace, to_device, to_host

_TYPES = {"int16": "short", "int32": "int", "float32": "float", "float64": "double"}
_THREADS = 256
#: of what `scan` gives for each stretch
COLUMNS = (
    "lowest", "highest", "total", "diff_squares", "at_low", "at_high", "flat_run", "non_finite",
)  # fmt: skip


def scan(data: Any, pieces: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Return what was found in stretches of counts, on the host: it is small.

    Parameters
    ----------
    data : device array, axes (channel, sample)
        int16, int32, float32 or float64.
    pieces : int64 array, axes (stretch, 3)
        (channel, start, stop), none of them empty.

    Returns
    -------
    found : float64 array, axes (stretch, column)
        By `COLUMNS`. Where samples are not finite only their number is meant.
    """
    xp = namespace(data)
    found = xp.zeros((len(pieces), len(COLUMNS)), dtype=xp.float64, device=data.device)
    launch(
        "raw_scan",
        "scan",
        (len(pieces),),
        (_THREADS,),
        (
            contiguous(data),
            np.int64(data.shape[1]),
            to_device(np.ascontiguousarray(pieces, dtype=np.int64), like=data),
            found,
        ),
        like=data,
        constants={"RAW": _TYPES[dtype_name(data)], "THREADS": _THREADS},
    )
    return to_host(found)
