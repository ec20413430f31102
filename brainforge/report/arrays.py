"""Arrays on their way into the page: named, rounded to as few bytes as the eye can use."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
_MISSING = {"u1": 255, "i2": -32768}


def _finite_range(array: Array) -> tuple[float, float]:
    finite = array[np.isfinite(array)]
    if not finite.size:
        return 0.0, 0.0
    return float(finite.min()), float(finite.max())


class ArrayPool:
    """The arrays and values of one page, by name; figures refer to them as ``{"$a": name}``.

    An array is written as base64 of ``u1`` (256 levels), ``i2`` (65 535 levels over its own
    range) or ``f4``; the page gives back ``raw * scale + offset``, NaN where nothing is known.
    """

    def __init__(self) -> None:
        self.arrays: dict[str, dict[str, Any]] = {}
        self.values: dict[str, Any] = {}

    def put(self, name: str, array: npt.ArrayLike, dtype: str = "i2") -> dict[str, str]:
        """Add an array, axes as given (one or two); return the reference to it."""
        data = np.asarray(array, dtype=np.float64)
        entry: dict[str, Any] = {"t": dtype, "n": list(data.shape)}
        if dtype == "f4":
            raw = data.astype("<f4")
        else:
            raw, entry["s"], entry["o"] = _quantise(data, dtype)
        entry["b"] = base64.b64encode(np.ascontiguousarray(raw).tobytes()).decode("ascii")
        self.arrays[name] = entry
        return {"$a": name}

    def put_log(self, name: str, array: npt.ArrayLike, dtype: str = "u1") -> dict[str, str]:
        """Add a positive array whose logarithm is quantised, so that steps are relative."""
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = np.log10(np.asarray(array, dtype=np.float64))
        ref = self.put(name, np.where(np.isfinite(logs), logs, np.nan), dtype)
        self.arrays[name]["log"] = True
        return ref

    def put_square(self, name: str, matrix: Array, dtype: str = "u1") -> dict[str, str]:
        """Add a square matrix; of a symmetric one only the part above the diagonal."""
        matrix = np.array(matrix, dtype=np.float64)
        np.fill_diagonal(matrix, 0.0)
        n = len(matrix)
        if n > 1 and np.array_equal(matrix, matrix.T, equal_nan=True):
            ref = self.put(name, matrix[np.triu_indices(n, 1)], dtype)
            self.arrays[name]["tri"] = n
            return ref
        return self.put(name, matrix, dtype)

    def value(self, name: str, value: Any) -> dict[str, str]:
        """Add any JSON-ready value (a range, an image, a list of strings)."""
        self.values[name] = value
        return {"$v": name}

    @property
    def n_bytes(self) -> int:
        """Characters that the arrays take in the page."""
        return sum(len(a["b"]) for a in self.arrays.values())


def _quantise(data: Array, dtype: str) -> tuple[Array, float, float]:
    low, high = _finite_range(data)
    levels = 254 if dtype == "u1" else 65534
    first = 0 if dtype == "u1" else -32767
    scale = (high - low) / levels or 1.0
    missing = ~np.isfinite(data)
    steps = np.where(missing, 0, (data - low) / scale)
    raw = np.rint(steps).astype(np.int64) + first
    raw[missing] = _MISSING[dtype]
    return raw.astype("u1" if dtype == "u1" else "<i2"), scale, low - first * scale


def plain(value: Any) -> Any:
    """Return a JSON-ready copy: arrays as lists, NaN and infinity as None, the rest as text."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(v) for v in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else None
    return value if value is None or isinstance(value, str) else str(value)
