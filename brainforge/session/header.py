"""What the recorder has written down of a recording that has begun."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path

from brainforge.archive.document import info_from_document
from brainforge.errors import ReadError
from brainforge.info import Info

#: the recorder's source has this long to show up
PATIENCE_S = 120.0


@dataclass(frozen=True)
class Header:
    """A recording that has begun.

    Parameters
    ----------
    info : Info
    ring : Path
    recording_id : str
    started : str
        ISO time.
    """

    info: Info
    ring: Path
    recording_id: str
    started: str


def read_header(archive: Path) -> Header | None:
    """Return the header of a recording, None where there is none yet."""
    try:
        document = json.loads((archive / "live" / "header.json").read_text(encoding="utf-8"))
        ring = Path(document["ring"])
    except (FileNotFoundError, KeyError, ValueError):
        return None
    if not ring.exists():
        return None
    return Header(
        info_from_document(document["info"]),
        ring,
        str(document["recording_id"]),
        str(document["started"]),
    )


def wait_for_header(archive: Path, patience: float = PATIENCE_S) -> Header:
    """Return the header as soon as it is there.

    Raises
    ------
    ReadError
        It does not come.
    """
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        header = read_header(archive)
        if header is not None:
            return header
        time.sleep(0.02)
    raise ReadError(
        where=str(archive), expected="a recording that begins", got=f"nothing in {patience:g} s"
    )
