"""Where an array lives: its namespace, and the two doors between the host and a device.

A kernel's body asks `namespace` for the functions of the array that it was given (the array
API standard, 2023.12, with its ``fft`` and ``linalg`` extensions) and so runs wherever the array
is. Nothing crosses between host and device but through `to_device` and `to_host`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.errors import KernelInputError


@dataclass
class Traffic:
    """What has crossed the doors since the counts were last set to zero."""

    to_device: int = 0
    to_device_bytes: int = 0
    to_host: int = 0
    to_host_bytes: int = 0


#: counts of this process; read by `brainforge diagnose`, benchmarks and tests
TRAFFIC = Traffic()
_counting = Lock()


def is_device(array: Any) -> bool:
    """Return whether an array lives outside NumPy's memory: on a GPU or a stand-in for one."""
    return not isinstance(array, np.ndarray) and (
        hasattr(array, "__array_namespace__") or _is_cupy(array)
    )


def _is_cupy(array: Any) -> bool:
    return type(array).__module__.partition(".")[0] == "cupy"


def namespace(*arrays: Any) -> Any:
    """Return the array-API namespace that all given arrays belong to.

    Anything without a namespace of its own (Python numbers, None) is passed over; NumPy's is
    returned where nothing else is left.

    Raises
    ------
    KernelInputError
        Where arrays of several namespaces meet.
    """
    found: dict[str, Any] = {}
    for array in arrays:
        space = _space(array)
        if space is not None:
            found[space.__name__] = space
    if len(found) > 1:
        raise KernelInputError(
            where="arrays",
            expected="arrays that all live in one place",
            got=" and ".join(sorted(found)),
            fix="bring them together with to_device or to_host",
        )
    return next(iter(found.values()), np)


def _space(array: Any) -> Any:
    if isinstance(array, np.ndarray):
        return np
    if _is_cupy(array):
        from array_api_compat import cupy

        return cupy
    ask = getattr(array, "__array_namespace__", None)
    return ask() if ask is not None else None


def to_device(array: npt.ArrayLike, like: Any) -> Any:
    """Copy a host array to where ``like`` lives; the way in.

    Parameters
    ----------
    array : array-like
        On the host. An array that is on the device already is returned as it is.
    like : array
        Its namespace and device are taken, not its dtype.

    Returns
    -------
    array
        ``array`` itself as NumPy array where ``like`` is one.
    """
    if is_device(array):
        return array
    host = np.asarray(array)
    if not is_device(like):
        return host
    with _counting:
        TRAFFIC.to_device += 1
        TRAFFIC.to_device_bytes += host.nbytes
    # a copy always: some libraries would otherwise share the host's memory
    return namespace(like).asarray(np.asarray(host, order="C"), device=like.device, copy=True)


def to_host(array: Any) -> npt.NDArray[Any]:
    """Copy an array to the host; the way out. NumPy arrays are returned as they are."""
    if not is_device(array):
        return np.asarray(array)
    space = namespace(array)
    if _is_cupy(array):
        host: npt.NDArray[Any] = array.get()
    else:
        home = space.__array_namespace_info__().default_device()
        host = np.array(np.from_dlpack(array.to_device(home)))
    with _counting:
        TRAFFIC.to_host += 1
        TRAFFIC.to_host_bytes += host.nbytes
    return host


def copied(array: Any) -> Any:
    """Return a copy in C order, where the array lives."""
    if isinstance(array, np.ndarray):
        return array.copy(order="C")
    return namespace(array).asarray(contiguous(array), copy=True)


def rows_of(array: Any, rows: npt.NDArray[np.intp]) -> Any:
    """Return a copy of some rows, where the array lives; ``rows`` is a host array."""
    if isinstance(array, np.ndarray):
        return array[rows]
    return namespace(array).take(array, to_device(rows, like=array), axis=0)


def empty(shape: tuple[int, ...], dtype: str, like: Any) -> Any:
    """Return an array to be written to, where ``like`` lives."""
    xp = namespace(like)
    return xp.empty(shape, dtype=getattr(xp, dtype), device=like.device)


def dtype_name(array: Any) -> str:
    """Return the name of an array's dtype, the same in every namespace."""
    dtype = array.dtype
    return _numpy_name(dtype) if isinstance(dtype, np.dtype) else str(dtype).rpartition(".")[2]


@lru_cache(maxsize=64)
def _numpy_name(dtype: np.dtype[Any]) -> str:
    # NumPy spells a name anew each time, which costs as much as a small kernel
    return str(dtype)


def contiguous(array: Any) -> Any:
    """Return the array in C order, copied only where it is not (or nobody can tell)."""
    xp = namespace(array)
    if hasattr(xp, "ascontiguousarray"):
        return xp.ascontiguousarray(array)
    # reshaping alone may give a view with steps; what is joined is new, and in order
    return xp.reshape(xp.concat([xp.reshape(array, (-1,))]), array.shape)
