"""``--sensors FILE.tsv``: kinds, units, calibration and geometry that a format lacks.

Columns, tab-separated, with a heading: name, kind, unit, calibration, x, y, z, ox, oy, oz.
Metres, head frame; ``n/a`` or nothing where unknown. Joined by name, so any order will do.
"""

from __future__ import annotations

import csv
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from brainforge.errors import ReadError
from brainforge.info import Channel, Info
from brainforge.units import UNITS

#: unit -> (SI unit, factor to SI)
FACTORS = {
    "T": ("T", 1.0),
    "mT": ("T", 1e-3),
    "uT": ("T", 1e-6),
    "µT": ("T", 1e-6),
    "nT": ("T", 1e-9),
    "pT": ("T", 1e-12),
    "fT": ("T", 1e-15),
    "T/m": ("T/m", 1.0),
    "fT/cm": ("T/m", 1e-13),
    "pT/m": ("T/m", 1e-12),
    "V": ("V", 1.0),
    "mV": ("V", 1e-3),
    "uV": ("V", 1e-6),
    "µV": ("V", 1e-6),
    "nV": ("V", 1e-9),
}
COLUMNS = ("name", "kind", "unit", "calibration", "x", "y", "z", "ox", "oy", "oz")
MAX_BYTES = 64 << 20
#: FIFF coil type of a point magnetometer, for sensors whose make is not known
POINT_MAGNETOMETER = 2000
EMPTY = ("", "n/a", "nan")


def _refuse(path: Path, line: int, expected: str, got: str) -> ReadError:
    return ReadError(where=f"{path}, line {line}", expected=expected, got=got[:80])


def read_table(path: Path) -> dict[str, dict[str, str]]:
    """Return the rows of a sensors file by channel name, empty cells left out."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise _refuse(path, 1, f"at most {MAX_BYTES} bytes", "more")
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ReadError(where=str(path), expected="a sensors file", got=str(error)) from error
    rows = csv.DictReader(text.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE)
    heading = [h.strip() for h in rows.fieldnames or ()]
    if "name" not in heading:
        raise _refuse(path, 1, f"a heading with {', '.join(COLUMNS)}", "\t".join(heading))
    rows.fieldnames = heading
    table: dict[str, dict[str, str]] = {}
    for row in rows:
        cells = {k: (v or "").strip() for k, v in row.items() if isinstance(v, str)}
        name = cells.get("name", "")
        if not name or name in table:
            got = f"{name} twice" if name else "none"
            raise _refuse(path, rows.line_num, "one row for each name", got)
        table[name] = {k: v for k, v in cells.items() if v.lower() not in EMPTY}
        table[name]["line"] = str(rows.line_num)
    return table


def _number(path: Path, row: dict[str, str], column: str) -> float:
    try:
        value = float(row[column])
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise _refuse(path, int(row["line"]), f"a number in column {column}", repr(row[column]))
    return value


def _vector(path: Path, row: dict[str, str], columns: tuple[str, ...]) -> Any:
    if not any(c in row for c in columns):
        return None
    missing = [c for c in columns if c not in row]
    if missing:
        raise _refuse(path, int(row["line"]), f"all of {', '.join(columns)}", f"no {missing[0]}")
    return np.array([_number(path, row, c) for c in columns])


def _scale(path: Path, row: dict[str, str], channel: Channel) -> Channel:
    unit = row.get("unit", channel.unit)
    if unit == channel.unit == "" or (unit not in FACTORS and channel.kind in ("stim", "misc")):
        factor = 1.0
    elif unit in FACTORS and FACTORS[unit][0] == channel.unit:
        factor = FACTORS[unit][1]
    else:
        raise _refuse(
            path, int(row["line"]), f"a unit of {channel.unit or 'no dimension'}", repr(unit)
        )
    if "calibration" in row:
        return replace(channel, cal=_number(path, row, "calibration") * factor, offset=0.0)
    return replace(channel, cal=channel.cal * factor, offset=channel.offset * factor)


def _place(path: Path, row: dict[str, str], channel: Channel, head_dev: Any) -> Channel:
    position = _vector(path, row, ("x", "y", "z"))
    axis = _vector(path, row, ("ox", "oy", "oz"))
    if position is not None:
        if np.linalg.norm(position) > 1.0:
            raise _refuse(path, int(row["line"]), "a position in metres", f"{position.tolist()}")
        position = head_dev[:3, :3] @ position + head_dev[:3, 3]
        channel = replace(channel, position=tuple(position.tolist()), loc=None)
    if axis is not None:
        length = float(np.linalg.norm(axis))
        if not 0.9 < length < 1.1:
            raise _refuse(path, int(row["line"]), "an axis of length 1", f"length {length:.3g}")
        axis = head_dev[:3, :3] @ (axis / length)
        channel = replace(channel, orientation=tuple(axis.tolist()), loc=None)
    if channel.loc is None and channel.position and channel.orientation:
        channel = replace(channel, loc=coil_frame(channel.position, channel.orientation))
        if channel.kind == "mag" and not channel.coil_type:
            channel = replace(channel, coil_type=POINT_MAGNETOMETER)
    return channel


def coil_frame(position: Any, axis: Any) -> tuple[float, ...]:
    """Return MNE's 12 numbers of a coil: its place, two axes in its plane, and its normal."""
    z = np.asarray(axis, dtype=float)
    helper = np.eye(3)[int(np.argmin(np.abs(z)))]
    x = np.cross(helper, z)
    x /= np.linalg.norm(x)
    return tuple(np.concatenate([np.asarray(position, dtype=float), x, np.cross(z, x), z]).tolist())


def apply_sensors(info: Info, path: Path) -> tuple[Info, list[str]]:
    """Return ``info`` with what a sensors file says, and notes on what did not match.

    A ``calibration`` gives the value of one count in ``unit``; a ``unit`` alone says in what
    unit the values really are that the recording hands out as SI.

    Raises
    ------
    ReadError
        Where the file breaks its format or names none of the recording's channels.
    """
    table = read_table(path)
    known = [n for n in table if n in set(info.names)]
    if not known:
        raise ReadError(
            where=str(path),
            expected="names of the recording's channels",
            got=f"none of them (the recording has {', '.join(info.names[:3])} ...)",
        )
    trans = info.dev_head_t if info.dev_head_t is not None else np.eye(4).tolist()
    head_dev = np.linalg.inv(np.asarray(trans, dtype=float))
    channels = []
    for channel in info.channels:
        row = table.get(channel.name)
        if row is not None:
            kind = row.get("kind", channel.kind)
            if kind not in UNITS:
                raise _refuse(path, int(row["line"]), f"a kind among {', '.join(UNITS)}", kind)
            scaled = _scale(path, row, replace(channel, kind=kind))
            channel = _place(path, row, scaled, head_dev)
        channels.append(channel)
    notes = [f"sensors file names {len(table) - len(known)} channels that are not in the recording"]
    out = replace(info, channels=tuple(channels))
    if any("x" in row for row in table.values()):
        out = replace(out, dev_head_t=tuple(map(tuple, trans)))
    return out, notes if len(table) > len(known) else []
