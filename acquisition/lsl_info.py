"""The description of an LSL stream, as XML, and the Info that it gives.

What is read: ``desc/channels/channel`` with ``label``, ``type``, ``unit`` and ``location`` (the XDF
meta-data) and the ``loc`` and ``coil_type`` that MNE-LSL adds. Units are converted where they are
known and asked for where they are not; nothing is guessed from the values.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final
from xml.etree import ElementTree

import numpy as np

from brainforge.errors import InputError
from brainforge.info import Channel, Info
from brainforge.readers.sensors_tsv import FACTORS, POINT_MAGNETOMETER, coil_frame
from brainforge.units import si_unit

#: what streams call a kind of channel; what is not here is carried along as misc
KINDS: Final = {
    "mag": "mag", "meg": "mag", "opm": "mag", "megmag": "mag", "meggradaxial": "mag",
    "grad": "grad", "meggrad": "grad", "meggradplanar": "grad",
    "ref_meg": "ref_mag", "ref_mag": "ref_mag", "ref": "ref_mag", "megrefmag": "ref_mag",
    "ref_grad": "ref_grad", "megrefgrad": "ref_grad",
    "eeg": "eeg", "eog": "eog", "heog": "eog", "veog": "eog", "ecg": "ecg", "ekg": "ecg",
    "emg": "emg",
    "stim": "stim", "trig": "stim", "trigger": "stim", "triggers": "stim", "sti": "stim",
    "marker": "stim", "markers": "stim",
}  # fmt: skip
#: kinds that a field's unit tells apart where the type says no more than MEG
BY_UNIT: Final = {
    ("mag", "T/m"): "grad", ("ref_mag", "T/m"): "ref_grad",
    ("grad", "T"): "mag", ("ref_grad", "T"): "ref_mag",
}  # fmt: skip
_PREFIXES: Final = {"": "", "milli": "m", "micro": "u", "nano": "n", "pico": "p", "femto": "f"}
_WORDS: Final = {
    f"{long}{name}{end}": FACTORS[f"{short}{unit}"]
    for name, unit in (("tesla", "T"), ("volt", "V"))
    for long, short in _PREFIXES.items()
    for end in ("", "s")
    if f"{short}{unit}" in FACTORS
}
_UNITS: Final = {**{name.lower(): known for name, known in FACTORS.items()}, **_WORDS}
#: MNE-LSL's names for the 12 numbers of a coil: its place and three axes
LOC: Final = (
    "R0x", "R0y", "R0z", "Exx", "Exy", "Exz", "Eyx", "Eyy", "Eyz", "Ezx", "Ezy", "Ezz",
)  # fmt: skip
_NONE: Final = ("", "none", "na", "n/a", "unknown")
MAX_XML: Final = 32 << 20


@dataclass(frozen=True)
class StreamDescription:
    """A stream's description.

    Parameters
    ----------
    name, type, host, source_id, uid : str
        As LSL has them; ``uid`` is another one after every start of the sender.
    sfreq : float
        Nominal rate in Hz; 0 where irregular.
    n_channels : int
    fields : tuple of dict
        What is said of every channel, by field; fewer or none where the sender left it out.
    filters, maker : dict, str
    """

    name: str
    type: str
    host: str
    source_id: str
    uid: str
    sfreq: float
    n_channels: int
    fields: tuple[dict[str, Any], ...]
    filters: dict[str, str]
    maker: str


def parse_unit(text: str) -> tuple[str, float] | None:
    """Return (SI unit, factor to SI) of a unit as streams write it; None where unknown.

    A whole number is a power of ten of the SI unit that belongs to the kind (MNE-LSL); its SI
    unit is then ``"*"``.
    """
    plain = text.strip().replace("\N{GREEK SMALL LETTER MU}", "\N{MICRO SIGN}")
    if plain in FACTORS:
        return FACTORS[plain]
    try:
        power = int(plain)
    except ValueError:
        return _UNITS.get(plain.lower())
    return ("*", 10.0**power) if -24 <= power <= 24 else None


def parse_description(xml: str) -> StreamDescription:
    """Return what a stream's XML says.

    Raises
    ------
    InputError
        It is no such document.
    """
    try:
        # entities are how a small document becomes a huge one; liblsl never writes any
        if len(xml) > MAX_XML or "<!DOCTYPE" in xml or "<!ENTITY" in xml:
            raise ValueError("it declares entities or is too large")
        root = ElementTree.fromstring(xml)
        channels = root.find("desc/channels")
        rows = [] if channels is None else channels.findall("channel")
        return StreamDescription(
            name=_text(root, "name"),
            type=_text(root, "type"),
            host=_text(root, "hostname"),
            source_id=_text(root, "source_id"),
            uid=_text(root, "uid"),
            sfreq=float(_text(root, "nominal_srate") or 0),
            n_channels=int(_text(root, "channel_count")),
            fields=tuple(_fields(row) for row in rows),
            filters={c.tag: (c.text or "") for c in root.iterfind("desc/filters/*")},
            maker=_text(root, "desc/manufacturer") or _text(root, "desc/acquisition/manufacturer"),
        )
    except (ElementTree.ParseError, ValueError, TypeError) as error:
        raise InputError(
            where="LSL", expected="a stream's description", got=str(error)[:120]
        ) from error


def _text(node: Any, path: str) -> str:
    return (node.findtext(path) or "").strip()


def _fields(row: Any) -> dict[str, Any]:
    return {
        child.tag: {c.tag: (c.text or "").strip() for c in child}
        if len(child)
        else (child.text or "").strip()
        for child in row
    }


def info_from_description(described: StreamDescription, unit: str | None = None) -> Info:
    """Return the Info of a stream.

    Parameters
    ----------
    described : StreamDescription
    unit : str | None
        Unit of the channels of which the stream names none.

    Raises
    ------
    InputError
        Irregular rate, channels described in part, names twice, a unit that is missing, unknown
        or of another quantity than the channel's kind.
    """
    where = f"stream {described.name}"
    if not (math.isfinite(described.sfreq) and described.sfreq > 0):
        raise InputError(
            where=where, expected="a regular sampling rate", got="an irregular one",
            fix="streams of markers come along with markers=NAME",
        )  # fmt: skip
    if described.fields and len(described.fields) != described.n_channels:
        raise InputError(
            where=where,
            expected=f"descriptions of {described.n_channels} channels",
            got=f"{len(described.fields)} of them",
        )
    rows = described.fields or ({},) * described.n_channels
    channels = tuple(_channel(row, k, described, unit) for k, row in enumerate(rows))
    return Info(
        sfreq=described.sfreq,
        channels=channels,
        highpass=_number(described.filters.get("highpass"), 0.0),
        lowpass=_number(described.filters.get("lowpass"), 0.0),
        device=described.maker or described.name,
        extra={
            "lsl": {
                "name": described.name, "type": described.type, "host": described.host,
                "source_id": described.source_id, "uid": described.uid,
            }
        },
    )  # fmt: skip


def _channel(
    row: dict[str, Any], k: int, described: StreamDescription, unit: str | None
) -> Channel:
    name = _word(row, "label") or _word(row, "name") or f"CH{k + 1:03d}"
    kind = KINDS.get((_word(row, "type") or described.type).lower(), "misc")
    if kind in ("stim", "misc"):
        return Channel(name=name, kind=kind)
    text = _word(row, "unit")
    text = (unit or "") if text.lower() in _NONE else text
    known = parse_unit(text)
    si, factor = known if known is not None else ("", 0.0)
    if si == "*":
        si = si_unit(kind)
    kind = BY_UNIT.get((kind, si), kind)
    if si != si_unit(kind):
        raise InputError(
            where=f"stream {described.name}, channel {name} ({kind})",
            expected=f"a unit of {si_unit(kind)}",
            got=repr(text) if text else "none",
            fix="the sender has to name it" if text else "say it: lsl:NAME,unit=fT",
        )
    place, axis, loc = _geometry(row)
    coil = _number(_word(row, "coil_type"), POINT_MAGNETOMETER if kind == "mag" and loc else 0)
    return Channel(
        name=name, kind=kind, cal=factor, position=place, orientation=axis, loc=loc,
        coil_type=int(coil),
    )  # fmt: skip


def _word(row: dict[str, Any], key: str) -> str:
    value = row.get(key, "")
    return value if isinstance(value, str) else ""


def _number(text: str | None, default: float) -> float:
    try:
        value = float(text or "nan")
    except ValueError:
        return default
    return value if math.isfinite(value) else default


def _numbers(row: dict[str, Any], node: str, keys: tuple[str, ...]) -> Any:
    """Return the numbers of a child node; None where one is missing or not finite."""
    child = row.get(node)
    if not isinstance(child, dict):
        return None
    values = np.array([_number(child.get(key), math.nan) for key in keys])
    return values if np.isfinite(values).all() else None


def _geometry(row: dict[str, Any]) -> tuple[Any, Any, Any]:
    """Return position, orientation and MNE's 12 numbers; None for what is not known."""
    loc = _numbers(row, "loc", LOC)
    if loc is not None and np.any(loc[:3]) and abs(np.linalg.norm(loc[9:]) - 1.0) < 0.01:
        return tuple(loc[:3].tolist()), tuple(loc[9:].tolist()), tuple(loc.tolist())
    place = _numbers(row, "location", ("X", "Y", "Z"))
    axis = _numbers(row, "orientation", ("X", "Y", "Z"))
    if place is not None:
        place = tuple((place * 1e-3).tolist())  # XDF's places are millimetres
    if axis is None or not 0.9 < np.linalg.norm(axis) < 1.1:
        return place, None, None
    axis = tuple((axis / np.linalg.norm(axis)).tolist())
    return place, axis, coil_frame(place, axis) if place is not None else None
