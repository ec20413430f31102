"""Snapshot: one topic's newest numbers, and how it lies in memory."""

from __future__ import annotations

import json
import struct
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

MAGIC: Final = b"BFFEED01"
#: bytes before the first slot: magic, length of the directory, the directory (JSON)
HEADER: Final = 4096
#: in front of each of a topic's two slots: sequence, length, sequence again behind it
FRAME: Final = struct.Struct("<QQ")
ALIGN: Final = 64


@dataclass(frozen=True)
class Snapshot:
    """What was last said about a topic.

    Parameters
    ----------
    topic : str
    sequence : int
        How many snapshots of this topic there have been, this one included.
    written : float
        `time.monotonic` when it was written.
    meta : dict
        JSON-ready; by convention ``sample`` (absolute source index one past the newest sample in
        the numbers), ``arrival`` (`time.monotonic` at which that sample came), ``coverage``
        (share of the samples that could be believed, 0 to 1), ``unit``.
    arrays : dict
        Of NumPy arrays, copies.
    dropped : int
        Snapshots between the reader's last one and this one that it never saw.
    """

    topic: str
    sequence: int
    written: float
    meta: dict[str, Any]
    arrays: dict[str, npt.NDArray[Any]] = field(default_factory=dict)
    dropped: int = 0

    def age(self, now: float | None = None) -> float:
        """Return seconds since the newest sample in it came."""
        return (time.monotonic() if now is None else now) - float(
            self.meta.get("arrival", self.written)
        )


def pack_head(
    written: float, meta: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]
) -> bytes:
    """Return what stands in front of the arrays' bytes: length of the JSON, and the JSON."""
    head = {
        "written": written,
        "meta": meta,
        "arrays": [[name, a.dtype.str, a.shape] for name, a in arrays.items()],
    }
    text = json.dumps(head, allow_nan=False).encode()
    return struct.pack("<Q", len(text)) + text


def unpack(data: bytes, topic: str, sequence: int, dropped: int) -> Snapshot:
    """Return the snapshot that lies in ``data``: `pack_head`, then the arrays' bytes."""
    (length,) = struct.unpack_from("<Q", data)
    head = json.loads(data[8 : 8 + length])
    at, arrays = 8 + length, {}
    for name, dtype, shape in head["arrays"]:
        count = int(np.prod(shape))
        array = np.frombuffer(data, dtype=dtype, count=count, offset=at).reshape(shape)
        arrays[name] = array
        at += array.nbytes
    return Snapshot(topic, sequence, head["written"], head["meta"], arrays, dropped)
