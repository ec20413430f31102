"""Sums of stretches around events, for averages: every stretch of every channel read once."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.errors import KernelInputError
from brainforge.kernels.decimate import flat_rows
from brainforge.kernels.dispatch import kernel
from brainforge.kernels.jit import lazy_jit
from brainforge.kernels.namespace import dtype_name
from brainforge.kernels.parallel import parallel_map, slices

Floats = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]


@kernel(device="brainforge.kernels.device.event_sums:add_stretches", raw=True)
def add_stretches(
    data: npt.NDArray[np.float32],
    rows: Index,
    begins: Index,
    groups: Index,
    sums: Floats,
    *,
    n_threads: int = 1,
) -> Floats:
    """Add stretches of data to the sums of their groups.

    Parameters
    ----------
    data : float32 array, axes (channel, sample)
    rows : int array, axes (row,)
        Channels to add up, by position.
    begins : int array, axes (event,)
        First sample of each stretch; it must lie within the data as a whole.
    groups : int array, axes (event,)
        Which sum a stretch belongs to.
    sums : float64 array, axes (group, row, lag)
        Added to, event after event: the numbers do not depend on how the data are cut. Its last
        axis is a stretch long. Where ``data`` is.
    n_threads : int
        Threads over rows.

    Returns
    -------
    float64 array
        ``sums`` itself.

    Raises
    ------
    KernelInputError
        Data of another type, a stretch that leaves the data, or a row or group that is not there.
    """
    check_stretches(data, rows, begins, groups, sums)
    if not (len(rows) and len(begins)):
        return sums
    samples, step = flat_rows(data)
    index = [np.ascontiguousarray(a, dtype=np.int64) for a in (rows, begins, groups)]

    def part(piece: slice) -> None:
        _add(samples, step, *index, sums, piece.start, piece.stop)

    parallel_map(part, slices(len(rows), n_threads), n_threads)
    return sums


def check_stretches(data: Any, rows: Index, begins: Index, groups: Index, sums: Any) -> None:
    """Raise KernelInputError where the arguments of `add_stretches` do not fit."""
    if data.ndim != 2 or dtype_name(data) != "float32":
        raise KernelInputError(
            where="data", expected="float32, channels x samples",
            got=f"{data.dtype} of shape {tuple(data.shape)}",
        )  # fmt: skip
    if dtype_name(sums) != "float64" or sums.ndim != 3 or sums.shape[1] != len(rows):
        raise KernelInputError(
            where="sums", expected=f"float64, axes (group, {len(rows)} rows, lag)",
            got=f"{sums.dtype} of shape {tuple(sums.shape)}",
        )  # fmt: skip
    last = data.shape[1] - sums.shape[2]
    if len(begins) and not (np.min(begins) >= 0 and np.max(begins) <= last):
        raise KernelInputError(
            where="begins", expected=f"0 to {last}",
            got=f"{np.min(begins)} to {np.max(begins)}", fix="leave those stretches out",
        )  # fmt: skip
    for where, index, size in (("rows", rows, data.shape[0]), ("groups", groups, sums.shape[0])):
        if len(index) and not (np.min(index) >= 0 and np.max(index) < size):
            raise KernelInputError(
                where=where, expected=f"0 to {size - 1}", got=f"{np.min(index)} to {np.max(index)}"
            )
    if len(groups) != len(begins):
        raise KernelInputError(
            where="groups", expected=f"{len(begins)}, one for each stretch", got=str(len(groups))
        )


@lazy_jit(
    [
        "void(Array(float32, 1, 'C', readonly=True), int64, int64[::1], int64[::1], int64[::1], "
        "float64[:, :, ::1], int64, int64)"
    ]
)
def _add(
    data: Any, step: Any, rows: Any, begins: Any, groups: Any, sums: Any, first: Any, stop: Any
) -> None:
    n_lags = sums.shape[2]
    for row in range(first, stop):
        for event in range(len(begins)):
            at = rows[row] * step + begins[event]
            stretch = data[at : at + n_lags]
            total = sums[groups[event], row]
            for lag in range(n_lags):
                total[lag] += stretch[lag]
