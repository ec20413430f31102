"""Checkpoints: nested states of arrays and JSON-ready values as bytes, and back. No pickle."""

from __future__ import annotations

import json
import os
import struct
import zlib
from pathlib import Path
from typing import Any, Final

import numpy as np

from brainforge.errors import ReadError

MAGIC: Final = b"BFCHECK1"
_HEAD: Final = struct.Struct("<8sQI")


def pack_state(state: Any) -> bytes:
    """Return the bytes of a state: dicts with text keys, lists, tuples, scalars, arrays, bytes.

    Tuples come back as tuples, NumPy scalars as Python's, floats exactly.
    """
    return b"".join(_parts(state))


def _parts(state: Any) -> list[Any]:
    """Return the pieces of a packed state, arrays as they lie in memory."""
    arrays: list[np.ndarray[Any, Any]] = []
    text = json.dumps(_flat(state, arrays)).encode()
    table = json.dumps([[a.dtype.str, list(a.shape)] for a in arrays]).encode()
    head = struct.pack("<QQ", len(text), len(table)) + text + table
    parts: list[Any] = [head, *(a.reshape(-1).view(np.uint8).data for a in arrays if a.size)]
    crc = 0
    for part in parts:
        crc = zlib.crc32(part, crc)
    return [_HEAD.pack(MAGIC, sum(len(part) for part in parts), crc), *parts]


def unpack_state(data: bytes, where: str = "checkpoint") -> Any:
    """Return the state that `pack_state` packed; its arrays may be written to.

    Raises
    ------
    ReadError
        Damaged, or not a checkpoint.
    """
    try:
        magic, length, crc = _HEAD.unpack_from(data)
        body = data[_HEAD.size :]
        if magic != MAGIC or len(body) != length or zlib.crc32(body) != crc:
            raise ValueError("damaged")
        n_text, n_table = struct.unpack_from("<QQ", body)
        at = 16 + n_text + n_table
        arrays = []
        for dtype, shape in json.loads(body[16 + n_text : at]):
            count = int(np.prod(shape, dtype=np.int64))
            array = np.frombuffer(body, dtype=dtype, count=count, offset=at).reshape(shape)
            arrays.append(array.copy())
            at += array.nbytes
        return _whole(json.loads(body[16 : 16 + n_text]), arrays)
    except (ValueError, struct.error, KeyError, IndexError, TypeError) as error:
        raise ReadError(where=where, expected="a checkpoint", got=str(error)) from error


def write_state(path: Path, state: Any) -> int:
    """Replace a checkpoint file in one step; return its size in bytes."""
    parts = _parts(state)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    with open(partial, "wb") as file:
        file.writelines(parts)
    os.replace(partial, path)
    return sum(len(part) for part in parts)


def read_state(path: Path) -> Any | None:
    """Return the state in a file, None where there is none.

    Raises
    ------
    ReadError
        It is damaged.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    return unpack_state(data, str(path))


def _flat(value: Any, arrays: list[np.ndarray[Any, Any]]) -> Any:
    """Return JSON in which arrays, tuples and bytes are marked objects."""
    if isinstance(value, dict):
        return {"d": {str(k): _flat(v, arrays) for k, v in value.items()}}
    if isinstance(value, (tuple, list)):
        mark = "t" if isinstance(value, tuple) else "l"
        return {mark: [_flat(v, arrays) for v in value]}
    if isinstance(value, np.ndarray):
        arrays.append(np.ascontiguousarray(value).reshape(value.shape))
        return {"a": len(arrays) - 1}
    if isinstance(value, bytes):
        return {"b": value.hex()}
    if isinstance(value, np.generic):
        return value.item()
    return value


def _whole(value: Any, arrays: list[np.ndarray[Any, Any]]) -> Any:
    if not isinstance(value, dict):
        return value
    ((mark, inner),) = value.items()
    if mark == "d":
        return {k: _whole(v, arrays) for k, v in inner.items()}
    if mark == "t":
        return tuple(_whole(v, arrays) for v in inner)
    if mark == "l":
        return [_whole(v, arrays) for v in inner]
    return bytes.fromhex(inner) if mark == "b" else arrays[inner]
