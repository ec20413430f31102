"""One JSON object that any strict reader takes, of whatever the house's results hold."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from os import PathLike, fspath
from typing import Any

import numpy as np


def jsonable(value: Any) -> Any:
    """Return ``value`` with plain types only; numbers that are not finite become None."""
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, np.generic):
        return jsonable(value.item())
    if isinstance(value, np.ndarray):
        return jsonable(value.tolist())
    if isinstance(value, PathLike):
        return fspath(value)
    if isinstance(value, Mapping):
        return {str(k): jsonable(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [jsonable(v) for v in value]
    if is_dataclass(value) and not isinstance(value, type):
        return jsonable(asdict(value))
    raise TypeError(f"no JSON form for {type(value).__name__}")


def to_json(payload: Mapping[str, Any]) -> str:
    """Return one JSON object that any strict reader takes (ASCII, no NaN)."""
    return json.dumps(jsonable(payload), allow_nan=False, indent=2)
