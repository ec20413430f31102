"""SHA-256 of what a recording was read from, in bounded memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def describe(paths: Iterable[Path], format_name: str, notes: list[str]) -> dict[str, Any]:
    """Return a Recording's ``source`` of the files it was read from.

    With one file ``sha256`` is that file's; with several it is taken over the sorted lines
    ``checksum  name``, and ``files`` holds each of them.
    """
    files = {p.name: sha256(p) for p in paths}
    names = list(files)
    if len(files) == 1:
        total = files[names[0]]
    else:
        lines = "".join(f"{files[n]}  {n}\n" for n in sorted(files))
        total = hashlib.sha256(lines.encode()).hexdigest()
    source: dict[str, Any] = {"path": names[0], "format": format_name, "sha256": total}
    if len(files) > 1:
        source["files"] = files
    return {**source, "notes": notes}
