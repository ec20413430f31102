"""The manifest: size and SHA-256 of every file of an archive, written last.

Its own checksum is the archive's identity: a changed byte anywhere changes it or contradicts it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from brainforge.archive.durable import write_durable
from brainforge.archive.files import Files, read_json, refused
from brainforge.archive.layout import LIVE

NAME: Final = "manifest.json"
Entries = dict[str, tuple[int, str]]


def digest(data: bytes) -> str:
    """Return the SHA-256 of bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def write_manifest(root: Path, known: Entries) -> None:
    """Write the manifest of all files below ``root``, durably.

    Parameters
    ----------
    known : dict
        Name to (size, SHA-256) of files whose checksum was taken when they were written.
    """
    entries = dict(known)
    for path in _files_below(root):
        name = path.relative_to(root).as_posix()
        if name not in entries:
            data = path.read_bytes()
            entries[name] = (len(data), digest(data))
    document = {"algorithm": "sha256", "files": {n: list(entries[n]) for n in sorted(entries)}}
    write_durable(root / NAME, json.dumps(document, indent=0).encode())


def _files_below(root: Path) -> Iterator[Path]:
    """Yield the files of an archive, without those of a recording that is being finished."""
    for entry in sorted(root.iterdir()):
        if entry.is_file():
            yield entry
        elif entry.name != LIVE:
            yield from sorted(p for p in entry.rglob("*") if p.is_file())


def read_manifest(files: Files) -> Entries:
    """Return the manifest's entries."""
    document = read_json(files, NAME)
    try:
        return {str(n): (int(e[0]), str(e[1])) for n, e in document["files"].items()}
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise refused(files.path, f"a damaged {NAME}") from error


def read_checked(files: Files, entries: Entries, name: str) -> bytes:
    """Return a small file, compared with the manifest."""
    if name not in files.sizes or name not in entries:
        raise refused(files.path, f"no {name} in it")
    if files.sizes[name] != entries[name][0]:
        raise refused(
            files.path, f"{name} of {files.sizes[name]} bytes instead of {entries[name][0]}"
        )
    data = files.read(name)
    if digest(data) != entries[name][1]:
        raise refused(files.path, f"{name} with a wrong checksum")
    return data
