"""Info, events, gaps and provenance as one JSON document, and back.

It is the attribute ``brainforge`` of the archive's root group. Floats survive exactly: Python
writes the shortest decimal that reads back as the same float64.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from brainforge.archive.layout import FORMAT, VERSION
from brainforge.block import Cause, Mask
from brainforge.errors import InputError, ReadError
from brainforge.info import Channel, Info, Projector
from brainforge.recording import Annotation, Event, Gap

#: key of ``Info.extra`` that holds MNE's measurement info, as the bytes of a FIF file
MNE_INFO = "mne_info"
CHANNEL_FIELDS = (
    "name kind cal offset position orientation loc coil_type bad rails".split()  # noqa: SIM905
)


@dataclass(frozen=True)
class Segment:
    """A stored stretch: absolute source samples [start, stop), the first at ``stored``."""

    start: int
    stop: int
    stored: int


@dataclass(frozen=True)
class Contents:
    """All that an archive says besides the counts."""

    info: Info
    start: int
    stop: int
    segments: tuple[Segment, ...]
    gaps: tuple[Gap, ...] = ()
    events: tuple[Event, ...] = ()
    annotations: tuple[Annotation, ...] = ()
    masks: tuple[Mask, ...] = ()
    source: dict[str, Any] = field(default_factory=dict)


def info_to_document(info: Info) -> dict[str, Any]:
    """Return an Info JSON-ready, without MNE's measurement info, which is bytes."""
    return {
        "sfreq": info.sfreq,
        "channels": {f: [getattr(c, f) for c in info.channels] for f in CHANNEL_FIELDS},
        "line_freq": info.line_freq,
        "highpass": info.highpass,
        "lowpass": info.lowpass,
        "dev_head_t": info.dev_head_t,
        "projs": [[p.description, p.names, p.vectors] for p in info.projs],
        "subject": info.subject,
        "meas_date": info.meas_date,
        "device": info.device,
        "extra": {k: v for k, v in info.extra.items() if k != MNE_INFO},
    }


def to_document(contents: Contents) -> dict[str, Any]:
    """Return the JSON-ready document of an archive's contents."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "info": info_to_document(contents.info),
        "start": contents.start,
        "stop": contents.stop,
        "segments": [[s.start, s.stop, s.stored] for s in contents.segments],
        "gaps": [[g.start, g.stop, g.cause] for g in contents.gaps],
        "events": [[e.sample, e.code, e.channel] for e in contents.events],
        "annotations": [[a.start, a.stop, a.label] for a in contents.annotations],
        "masks": [[m.channels, m.start, m.stop, str(m.cause)] for m in contents.masks],
        "source": contents.source,
    }


def _tuples(value: Any) -> Any:
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value


def _vector(value: Any, length: int) -> Any:
    if value is None:
        return None
    if len(value) != length:
        raise ValueError(f"{length} numbers expected")
    return tuple(float(v) for v in value)


def _channel(row: dict[str, Any]) -> Channel:
    cal, offset = float(row["cal"]), float(row["offset"])
    if not (math.isfinite(cal) and math.isfinite(offset)):
        raise ValueError(f"calibration of {row['name']} is not finite")
    return Channel(
        name=str(row["name"]),
        kind=str(row["kind"]),
        cal=cal,
        offset=offset,
        position=_vector(row["position"], 3),
        orientation=_vector(row["orientation"], 3),
        loc=_vector(row["loc"], 12),
        coil_type=int(row["coil_type"]),
        bad=bool(row["bad"]),
        rails=_vector(row["rails"], 2),
    )


def info_from_document(document: dict[str, Any]) -> Info:
    """Return the Info that `info_to_document` wrote.

    Raises
    ------
    KeyError, TypeError, ValueError
        Where it is no such document.
    """
    columns = document["channels"]
    rows = zip(*(columns[f] for f in CHANNEL_FIELDS), strict=True)
    line = document["line_freq"]
    subject, date = document["subject"], document["meas_date"]
    return Info(
        sfreq=float(document["sfreq"]),
        channels=tuple(_channel(dict(zip(CHANNEL_FIELDS, row, strict=True))) for row in rows),
        line_freq=None if line is None else float(line),
        highpass=float(document["highpass"]),
        lowpass=float(document["lowpass"]),
        dev_head_t=_tuples(document["dev_head_t"]),
        projs=tuple(Projector(str(d), _tuples(n), _tuples(v)) for d, n, v in document["projs"]),
        subject=None if subject is None else str(subject),
        meas_date=None if date is None else str(date),
        device=str(document["device"]),
        extra=dict(document["extra"]),
    )


def _check_time(contents: Contents) -> None:
    """Raise ValueError unless segments and gaps together cover [start, stop) exactly once."""
    pieces = sorted(
        [(s.start, s.stop) for s in contents.segments] + [(g.start, g.stop) for g in contents.gaps]
    )
    at, stored = contents.start, 0
    for start, stop in pieces:
        if start != at or stop <= start:
            raise ValueError(f"segments and gaps do not meet at sample {at}")
        at = stop
    for segment in contents.segments:
        if segment.stored != stored:
            raise ValueError(f"segment at sample {segment.start} is misplaced")
        stored += segment.stop - segment.start
    if at != contents.stop or not contents.segments:
        raise ValueError(f"segments and gaps end at sample {at}, not at {contents.stop}")


def from_document(document: Any, where: str) -> Contents:
    """Return the contents that a document describes.

    Raises
    ------
    ReadError
        Where it is not such a document, or of a newer version.
    """
    try:
        if document["format"] != FORMAT or int(document["version"]) != VERSION:
            raise ValueError(f"format {document['format']}, version {document['version']}")
        contents = Contents(
            info=info_from_document(document["info"]),
            start=int(document["start"]),
            stop=int(document["stop"]),
            segments=tuple(Segment(int(a), int(b), int(s)) for a, b, s in document["segments"]),
            gaps=tuple(Gap(int(a), int(b), str(c)) for a, b, c in document["gaps"]),
            events=tuple(Event(int(s), int(c), str(n)) for s, c, n in document["events"]),
            annotations=tuple(
                Annotation(int(a), int(b), str(t)) for a, b, t in document["annotations"]
            ),
            masks=tuple(
                Mask(_tuples(n), int(a), int(b), Cause(c)) for n, a, b, c in document["masks"]
            ),
            source=dict(document["source"]),
        )
        _check_time(contents)
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError, InputError) as error:
        raise ReadError(
            where=where,
            expected=f"{FORMAT} version {VERSION}",
            got=f"a document that does not hold ({str(error)[:120]})",
            fix="it is damaged or written by a newer version",
        ) from error
    return contents
