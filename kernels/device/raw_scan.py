"""Device twin of `brainforge.kernels.raw_statistics`: one launch over all stretches."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.kernels.device.launch import launch
from brainforge.kernels.namespace import contiguous, dtype_name, namespace, to_device, to_host
from brainforge.kernels.raw_statistics import RawStatistics, finite_stretches, summarise

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
_TYPES = {"int16": "short", "int32": "int", "float32": "float", "float64": "double"}
_THREADS = 256
#: of what `scan` gives for each stretch
COLUMNS = (
    "lowest", "highest", "total", "diff_squares", "at_low", "at_high", "flat_run", "non_finite",
)  # fmt: skip


def raw_statistics(
    data: Any, rails: Floats | None = None, stretches: Ints | None = None, *, n_threads: int = 1
) -> RawStatistics:
    """Twin of `brainforge.kernels.raw_statistics.raw_statistics`; the result is on the host.

    A channel that may be railed, or holds samples that are not finite, is brought home.
    """
    return summarise(data, rails, stretches, _look)


def _look(data: Any, pieces: Ints) -> tuple[Ints, dict[str, Floats]]:
    found = scan(data, pieces)
    n_bad = found[:, COLUMNS.index("non_finite")]
    if n_bad.any():
        pieces = finite_stretches(data, pieces, n_bad)
        found = scan(data, pieces)
    return pieces, dict(zip(COLUMNS, found.T))


def scan(data: Any, pieces: Ints) -> Floats:
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
