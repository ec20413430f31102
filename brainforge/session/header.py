"""What the recorder has written down of a recording that has begun."""

from __future__ import annotations

import json
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from brainforge.archive import open_archive
from brainforge.archive.document import info_from_document
from brainforge.errors import ReadError
from brainforge.feed import LastingReader
from brainforge.info import Info
from brainforge.session.spec import Paths

#: a recorder that says nothing has this long to begin
PATIENCE_S = 120.0


@dataclass(frozen=True)
class Header:
    """A recording that has begun.

    Parameters
    ----------
    info : Info
    ring : Path | None
        None once the recording is finished: all of it is in the archive.
    recording_id : str
        Empty where the recording was finished before anybody had read its header.
    """

    info: Info
    ring: Path | None
    recording_id: str


def read_header(archive: Path) -> Header | None:
    """Return the header of a recording, None where there is none yet."""
    try:
        document = json.loads((archive / "live" / "header.json").read_text(encoding="utf-8"))
        ring = Path(document["ring"])
    except (FileNotFoundError, KeyError, ValueError):
        return None
    if not ring.exists():
        return None
    return Header(info_from_document(document["info"]), ring, str(document["recording_id"]))


def is_finished(archive: Path) -> bool:
    """Return whether a recording has been published whole."""
    return (archive / "manifest.json").exists() and not (archive / "live").exists()


def wait_for_header(paths: Paths, patience: float = PATIENCE_S) -> Header:
    """Return the header as soon as it is there, or that of a recording which is over by now.

    Parameters
    ----------
    paths : Paths
        Where the recording's id is noted down, for a process that comes when it is finished.
    patience : float
        Seconds to wait where no recorder is there that waits for its first sample as well.

    Raises
    ------
    ReadError
        It does not come.
    """
    archive, note = paths.archive, paths.recording_id
    with closing(LastingReader(paths.recorder_feed)) as recorder:
        return _wait(archive, note, recorder, patience)


def _wait(archive: Path, note: Path, recorder: LastingReader, patience: float) -> Header:
    heard = time.monotonic()
    while time.monotonic() - heard < patience:
        said = recorder.latest("recorder")
        heard = max(heard, said.written if said is not None else 0.0)
        header = read_header(archive)
        if header is not None:
            note.write_text(header.recording_id, encoding="ascii")
            return header
        if is_finished(archive):
            known = note.read_text(encoding="ascii") if note.exists() else ""
            return Header(open_archive(archive).info, None, known)
        time.sleep(0.02)
    raise ReadError(
        where=str(archive), expected="a recording that begins", got=f"nothing in {patience:g} s"
    )
