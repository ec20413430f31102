"""The HELLO of the framed protocol: a stream's Info as a JSON document, and back."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from brainforge.acquisition.framed import DTYPES, Kind, encode
from brainforge.errors import InputError
from brainforge.info import Channel, Info
from brainforge.readers.sensors_tsv import FACTORS, POINT_MAGNETOMETER

MAX_CHANNELS: Final = 65535


@dataclass(frozen=True)
class Hello:
    """What a sender says of its stream.

    Parameters
    ----------
    info : Info
    dtype : str
        One of `brainforge.acquisition.framed.DTYPES`.
    counter_bits : int | None
        Width after which the counter wraps; None where it never does.
    session : str
        Another one after every start of the sender: then its counter began anew.
    """

    info: Info
    dtype: str
    counter_bits: int | None = None
    session: str = ""

    def __post_init__(self) -> None:
        _demand(self.dtype in DTYPES, f"a dtype among {', '.join(DTYPES)}", repr(self.dtype))
        bits = self.counter_bits
        _demand(bits is None or 8 <= bits <= 62, "counter_bits from 8 to 62, or null", repr(bits))
        n = self.info.n_channels
        _demand(0 < n <= MAX_CHANNELS, f"1 to {MAX_CHANNELS} channels", str(n))


def _demand(good: bool, expected: str, got: str) -> None:
    if not good:
        raise InputError(
            where="HELLO", expected=expected, got=got[:120], fix="see docs/live-protocol.md"
        )


def _channel_row(channel: Channel) -> dict[str, Any]:
    row: dict[str, Any] = {
        "name": channel.name,
        "kind": channel.kind,
        "unit": channel.unit,
        "cal": channel.cal,
        "offset": channel.offset,
        "coil_type": channel.coil_type,
    }
    for field in ("position", "orientation", "loc", "rails"):
        value = getattr(channel, field)
        if value is not None:
            row[field] = list(value)
    if channel.bad:
        row["bad"] = True
    return row


def encode_hello(hello: Hello) -> bytes:
    """Return the HELLO frame of a stream."""
    info = hello.info
    document = {
        "sfreq": info.sfreq,
        "dtype": hello.dtype,
        "counter_bits": hello.counter_bits,
        "session": hello.session,
        "device": info.device,
        "line_freq": info.line_freq,
        "dev_head_t": info.dev_head_t,
        "channels": [_channel_row(c) for c in info.channels],
    }
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return encode(Kind.HELLO, text.encode())


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is no JSON number")


def _number(value: Any) -> float:
    number = float(value)
    if isinstance(value, bool | str) or not math.isfinite(number):
        raise ValueError(f"{value!r} is not a finite number")
    return number


def _vector(value: Any, length: int) -> Any:
    if value is None:
        return None
    if not isinstance(value, list) or len(value) != length:
        raise ValueError(f"{length} numbers expected")
    return tuple(_number(v) for v in value)


def _orientation(value: Any) -> Any:
    vector = _vector(value, 3)
    if vector is None:
        return None
    norm = float(np.linalg.norm(vector))
    if not 0.9 < norm < 1.1:
        raise ValueError(f"an orientation of length {norm:.3g}")
    # left as it came where it is as long as doubles can tell, so that it reads back the same
    return vector if abs(norm - 1.0) < 1e-12 else tuple(v / norm for v in vector)


def _read_channel(row: Any) -> Channel:
    name, kind, unit = row["name"], row["kind"], row.get("unit")
    if not (isinstance(name, str) and 0 < len(name) <= 256 and isinstance(kind, str)):
        raise ValueError(f"channel {name!r} of kind {kind!r}")
    channel = Channel(
        name=name,
        kind=kind,
        position=_vector(row.get("position"), 3),
        orientation=_orientation(row.get("orientation")),
        loc=_vector(row.get("loc"), 12),
        coil_type=int(row.get("coil_type", POINT_MAGNETOMETER if kind == "mag" else 0)),
        bad=row.get("bad") is True,
        rails=_vector(row.get("rails"), 2),
        cal=1.0,
    )
    si, factor = FACTORS.get(unit, ("", 1.0)) if unit else (channel.unit, 1.0)
    if channel.unit and si != channel.unit:
        raise ValueError(f"channel {name} of kind {kind} in {unit!r} instead of {channel.unit}")
    cal, offset = _number(row.get("cal", 1.0)) * factor, _number(row.get("offset", 0.0)) * factor
    if cal == 0.0:
        raise ValueError(f"channel {name} with cal 0")
    return Channel(**{**vars(channel), "cal": cal, "offset": offset})


def read_hello(payload: bytes) -> Hello:
    """Return what the payload of a HELLO frame says.

    Raises
    ------
    InputError
        It is no such document, or it describes an impossible stream.
    """
    try:
        document = json.loads(payload, parse_constant=_no_constant)
        rows = document["channels"]
        if not isinstance(rows, list) or not 0 < len(rows) <= MAX_CHANNELS:
            raise ValueError("no list of channels")
        line, head = document.get("line_freq"), document.get("dev_head_t")
        bits = document.get("counter_bits")
        if head is not None and (not isinstance(head, list) or len(head) != 4):
            raise ValueError("dev_head_t is not 4 x 4")
        info = Info(
            sfreq=_number(document["sfreq"]),
            channels=tuple(_read_channel(row) for row in rows),
            line_freq=None if line is None else _number(line),
            dev_head_t=None if head is None else tuple(_vector(row, 4) for row in head),
            device=str(document.get("device", ""))[:256],
        )
        return Hello(
            info,
            str(document["dtype"]),
            None if bits is None else int(bits),
            str(document.get("session", ""))[:256],
        )
    except InputError:
        raise
    except (
        ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError
    ) as error:  # fmt: skip
        raise InputError(
            where="HELLO",
            expected="the document of docs/live-protocol.md",
            got=f"one with {type(error).__name__}: {str(error)[:120]}",
        ) from error
