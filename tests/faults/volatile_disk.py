"""A disk that forgets: what a power cut leaves of the files that a process wrote.

It is told the system calls of a process and knows at every moment what is safe. The strict rule:
a file's bytes are safe when the file has been synced, a name when its folder has. A kinder disk,
by a seed, keeps some of the rest: any of the unsynced pages (a page may be torn between sectors),
and names up to some moment.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.faults.system_calls import Call

SECTOR, PAGE = 512, 4096


@dataclass
class File:
    """A file: its bytes, those that are safe, and what happened to it since.

    A change is its number among all calls, the file's size after it, and the bytes at a place.
    """

    now: bytearray = field(default_factory=bytearray)
    safe: bytearray = field(default_factory=bytearray)
    changes: list[tuple[int, int, int, bytes]] = field(default_factory=list)

    def write(self, number: int, offset: int, data: bytes) -> None:
        self.change(number, max(len(self.now), offset + len(data)), offset, data)

    def change(self, number: int, size: int, offset: int = 0, data: bytes = b"") -> None:
        change = (number, size, offset, data)
        self.changes.append(change)
        _apply(self.now, change)

    def sync(self, begun: int) -> None:
        """Make safe what had ended before the sync began."""
        for change in self.changes:
            if change[0] < begun:
                _apply(self.safe, change)
        self.changes = [change for change in self.changes if change[0] >= begun]

    def left(self, chance: random.Random | None) -> bytes:
        """Return its bytes after the cut."""
        if chance is None or not self.changes:
            return bytes(self.safe)
        size = chance.choice([len(self.safe), *(c[1] for c in self.changes)])
        out = bytearray(bytes(self.safe[:size]).ljust(size, b"\0"))
        now = bytes(self.now[:size]).ljust(size, b"\0")
        touched = {
            page
            for _, _, at, data in self.changes
            for page in range(at // PAGE, -(-(at + len(data)) // PAGE))
        }
        for page in sorted(touched):
            if chance.random() < 0.5:
                sectors = chance.choice([8, 8, 8, chance.randrange(9)])
                lo, hi = page * PAGE, page * PAGE + sectors * SECTOR
                out[lo:hi] = now[lo:hi]
        return bytes(out)


def _apply(content: bytearray, change: tuple[int, int, int, bytes]) -> None:
    _, size, offset, data = change
    content.extend(bytes(max(size - len(content), 0)))
    content[offset : offset + len(data)] = data
    del content[size:]


@dataclass
class Folder:
    """A folder: its names, those that are safe, and all it was since, by the call's number."""

    now: dict[bytes, File | Folder] = field(default_factory=dict)
    safe: dict[bytes, File | Folder] = field(default_factory=dict)
    steps: list[tuple[int, dict[bytes, File | Folder]]] = field(default_factory=list)

    def changed(self, number: int) -> None:
        self.steps.append((number, dict(self.now)))

    def sync(self, begun: int) -> None:
        """Make safe what had ended before the sync began."""
        for number, names in self.steps:
            if number < begun:
                self.safe = names
        self.steps = [step for step in self.steps if step[0] >= begun]

    def left(self, chance: random.Random | None) -> dict[bytes, File | Folder]:
        """Return its names after the cut."""
        if chance is None:
            return self.safe
        return chance.choice([self.safe, *(names for _, names in self.steps)])


class VolatileDisk:
    """The part of the file system below one folder, which is there and safe at the start.

    Parameters
    ----------
    root : Path

    Attributes
    ----------
    version : int
        Changes whenever what is safe may have.
    """

    def __init__(self, root: Path) -> None:
        self._prefix = os.fsencode(root)
        self.root = Folder()
        self._open: dict[int, bytes] = {}
        self._at: dict[int, int] = {}
        self._nodes: dict[int, File | Folder] = {}
        self.version = 0

    def _parts(self, path: bytes, file: int) -> list[bytes] | None:
        if not path.startswith(b"/"):
            if file not in self._open:
                return None
            path = self._open[file] + b"/" + path
        path = os.path.normpath(path)
        if path == self._prefix:
            return []
        if not path.startswith(self._prefix + b"/"):
            return None
        return path[len(self._prefix) + 1 :].split(b"/")

    def _node(self, parts: list[bytes]) -> File | Folder | None:
        node: File | Folder | None = self.root
        for part in parts:
            node = node.now.get(part) if isinstance(node, Folder) else None
        return node

    def _parent(self, parts: list[bytes]) -> Folder:
        node = self._node(parts[:-1])
        assert isinstance(node, Folder), parts
        return node

    def take(self, call: Call) -> None:
        """Take a call that ended."""
        if call.result < 0:
            return
        act = getattr(self, f"_{call.name}", None)
        if act is not None:
            act(call)

    def _openat(self, call: Call) -> None:
        self._close(replace(call, file=call.result))
        parts = self._parts(call.path, call.file)
        if parts is None:
            return
        node = self._node(parts)
        if node is None:
            if "O_CREAT" not in call.flags:
                return  # it was there before and nobody writes it
            node = self._put(call, parts, File())
        if "O_TRUNC" in call.flags and isinstance(node, File):
            node.change(call.ended, 0)
        self._open[call.result] = b"/".join([self._prefix, *parts])
        self._nodes[call.result] = node
        self._at[call.result] = -1 if "O_APPEND" in call.flags else 0

    def _put(self, call: Call, parts: list[bytes], node: File | Folder) -> File | Folder:
        parent = self._parent(parts)
        parent.now[parts[-1]] = node
        parent.changed(call.ended)
        return node

    def _close(self, call: Call) -> None:
        self._nodes.pop(call.file, None)
        self._open.pop(call.file, None)

    def _file(self, call: Call) -> File | None:
        node = self._nodes.get(call.file)
        return node if isinstance(node, File) else None

    def _write(self, call: Call) -> None:
        node = self._file(call)
        if node is None:
            return
        at = self._at[call.file]
        node.write(call.ended, len(node.now) if at < 0 else at, call.data[: call.result])
        if at >= 0:
            self._at[call.file] = at + call.result

    _writev = _write

    def _pwrite64(self, call: Call) -> None:
        node = self._file(call)
        if node is not None:
            node.write(call.ended, call.numbers[1], call.data[: call.result])

    _pwritev = _pwritev2 = _pwrite64

    def _ftruncate(self, call: Call) -> None:
        node = self._file(call)
        if node is not None:
            node.change(call.ended, call.numbers[0])

    def _fallocate(self, call: Call) -> None:
        node = self._file(call)
        if node is not None:
            node.change(call.ended, max(len(node.now), call.numbers[-2] + call.numbers[-1]))

    def _fsync(self, call: Call) -> None:
        node = self._nodes.get(call.file)
        if node is not None:
            node.sync(call.begun)
            self.version += 1

    _fdatasync = _fsync

    def _rename(self, call: Call) -> None:
        source, target = self._parts(call.path, -1), self._parts(call.to, -1)
        if source is None or target is None:
            return
        a = self._parent(source)
        node = a.now.pop(source[-1])
        if a is not self._parent(target):
            a.changed(call.ended)
        self._put(call, target, node)

    def _mkdir(self, call: Call) -> None:
        parts = self._parts(call.path, call.file)
        if parts is not None:
            self._put(call, parts, Folder())

    _mkdirat = _mkdir

    def _unlink(self, call: Call) -> None:
        parts = self._parts(call.path, call.file)
        if parts:
            parent = self._parent(parts)
            del parent.now[parts[-1]]
            parent.changed(call.ended)

    _unlinkat = _rmdir = _unlink

    def left(self, chance: random.Random | None = None) -> Iterator[tuple[str, bytes | None]]:
        """Yield names below the root and their bytes after a cut now; None for a folder.

        Parameters
        ----------
        chance : Random | None
            Decides what of the unsynced is kept; None keeps nothing.
        """
        yield from self._left(self.root, "", chance)

    def _left(
        self, folder: Folder, prefix: str, chance: random.Random | None
    ) -> Iterator[tuple[str, bytes | None]]:
        for name, node in sorted(folder.left(chance).items()):
            path = prefix + os.fsdecode(name)
            if isinstance(node, File):
                yield path, node.left(chance)
            else:
                yield path, None
                yield from self._left(node, path + "/", chance)

    def write_left(self, folder: Path, chance: random.Random | None = None) -> None:
        """Write what a cut would leave to ``folder``."""
        for name, data in self.left(chance):
            if data is None:
                (folder / name).mkdir()
            else:
                (folder / name).write_bytes(data)
