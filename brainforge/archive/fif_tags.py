"""The chain of tags that a FIF file is.

Each tag begins with kind, type, size and the place of the next one: 16 bytes, big-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from brainforge.errors import ReadError

FILE_ID: Final = 100
#: type of the tags that hold the identity of the computer which wrote them
ID_STRUCT: Final = 31


@dataclass(frozen=True)
class Tag:
    """Head of a tag; ``at`` is the byte where its data begin."""

    kind: int
    type: int
    size: int
    at: int


def truncated(path: Path, at: int, what: str) -> ReadError:
    """Return the error for a file that ends or breaks at byte ``at``."""
    return ReadError(
        where=str(path),
        expected="a whole FIF file",
        got=f"{what} at byte {at} of {path.stat().st_size}",
        fix="copy it again from where it was recorded",
    )


def walk(path: Path) -> Iterator[Tag]:
    """Yield the tags of a FIF file in order.

    Raises
    ------
    ReadError
        Where the file is not FIF, is truncated or its chain of tags is broken.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        at = 0
        for count in range(size // 16 + 1):
            file.seek(at)
            head = file.read(16)
            if len(head) < 16:
                raise truncated(path, at, "the end of the file inside a tag")
            kind, type_, length, following = struct.unpack(">iIii", head)
            if count == 0 and (kind != FILE_ID or length != 20):
                raise ReadError(where=str(path), expected="a FIF file", got="another kind of file")
            if length < 0 or at + 16 + length > size:
                raise truncated(path, at, f"a tag of {length} bytes")
            yield Tag(kind, type_, length, at + 16)
            if following < 0:
                return
            at = following or at + 16 + length
            if at == size and not following:
                return
            if at > size:
                raise truncated(path, at, "a pointer past the end")
    raise truncated(path, at, "tags that point in a circle")
