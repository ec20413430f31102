"""Rows and pieces of arrays wherever they live; rows are a view where they are neighbours."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.kernels.namespace import is_device, namespace, to_device

Rows = slice | npt.NDArray[np.int64]


def compact(rows: npt.ArrayLike) -> Rows:
    """Return row numbers as a slice where each is one more than the last."""
    at = np.asarray(rows, dtype=np.int64)
    if len(at) and np.array_equal(at, np.arange(at[0], at[0] + len(at))):
        return slice(int(at[0]), int(at[0]) + len(at))
    return at


def take_rows(x: Any, rows: Rows) -> Any:
    """Return rows of ``x``, axes (row, sample), on its own device; a view where they are a slice.

    A view must not be written to.
    """
    if isinstance(rows, slice):
        return x[rows, :]
    return namespace(x).take(x, to_device(rows, like=x), axis=0)


def contiguous(x: Any) -> Any:
    """Return an array in C order; on a device, where slices cost nothing, as it is."""
    return np.ascontiguousarray(x) if isinstance(x, np.ndarray) else x


def together(*arrays: Any) -> list[Any]:
    """Return arrays in one place: on the device where any of them is on it.

    What is restored from a checkpoint is on the host until the first block from a device comes.
    """
    place = next((a for a in arrays if is_device(a)), None)
    return list(arrays) if place is None else [to_device(a, like=place) for a in arrays]
