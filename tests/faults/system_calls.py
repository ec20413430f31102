"""System calls of a process as strace tells them: which there were, with all their bytes."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

#: calls that change what a disk holds, or say what has to be on it
CHANGES = (
    "openat", "creat", "close", "dup", "write", "writev", "pwrite64", "pwritev", "pwritev2",
    "ftruncate", "truncate", "fallocate", "fsync", "fdatasync", "rename", "renameat", "renameat2",
    "unlink", "unlinkat", "mkdir", "mkdirat", "rmdir",
)  # fmt: skip
_CALL = re.compile(r"^(\d+) +(\w+)\((.*)\) += (-?\d+|\?)(?: .*)?$")
_BEGUN = re.compile(r"^(\d+) +(\w+)\((.*) <unfinished \.\.\.>$")
_ENDED = re.compile(r"^(\d+) +<\.\.\. (\w+) resumed>(.*)\) += (-?\d+|\?)(?: .*)?$")
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')


def require_strace() -> str:
    """Return strace's path; the test is skipped where it is absent or may not trace."""
    found = shutil.which("strace")
    if found is None:
        pytest.skip("strace is not here: install the package strace (`make test` does)")
    tried = subprocess.run([found, "-o", "/dev/null", "true"], capture_output=True, check=False)
    if tried.returncode:
        pytest.skip(f"strace may not trace here: {tried.stderr.decode().strip()[:200]}")
    return found


@dataclass(frozen=True)
class Call:
    """One system call that came back.

    Parameters
    ----------
    name : str
    path : bytes
        First argument where that is a path or a path relative to ``file``.
    to : bytes
        Where a rename goes.
    file : int
        First argument where that is a descriptor; -1 elsewhere.
    data : bytes
        What was to be written.
    numbers : tuple of int
        The other arguments that are plain numbers, in order.
    flags : str
        The arguments as strace shows them, without bytes.
    result : int
    begun, ended : int
        How many calls had ended when it began, and when it ended.
    """

    name: str
    path: bytes
    to: bytes
    file: int
    data: bytes
    numbers: tuple[int, ...]
    flags: str
    result: int
    begun: int
    ended: int


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


def _call(name: str, arguments: str, result: int, begun: int, ended: int) -> Call:
    texts = [_bytes(t) for t in _TEXT.findall(arguments)]
    bare = _TEXT.sub("", arguments)
    head = bare.split(",", 1)[0].strip()
    file = int(head) if re.fullmatch(r"-?\d+", head) else -1
    rest = bare.split(",")[1:] if file >= 0 else bare.split(",")
    numbers = tuple(int(r) for r in (r.strip() for r in rest) if re.fullmatch(r"-?\d+", r))
    wrote = "write" in name
    return Call(
        name,
        b"" if wrote or not texts else texts[0],
        b"" if wrote or len(texts) < 2 else texts[1],
        file,
        b"".join(texts) if wrote else b"",
        numbers,
        bare,
        result,
        begun,
        ended,
    )


def calls(log: Path) -> Iterator[Call]:
    """Yield the calls in a log of ``strace -f -xx``, in the order in which they ended."""
    open_: dict[tuple[str, str], tuple[str, int]] = {}
    ended = 0
    with log.open(encoding="ascii") as lines:
        for line in lines:
            line = line.rstrip("\n")
            if found := _BEGUN.match(line):
                open_[found[1], found[2]] = (found[3], ended)
                continue
            if found := _ENDED.match(line):
                arguments, begun = open_.pop((found[1], found[2]), ("", ended))
                name, text, result = found[2], arguments + found[3], found[4]
            elif found := _CALL.match(line):
                name, text, result, begun = found[2], found[3], found[4], ended
            else:
                continue
            if result != "?":
                yield _call(name, text, int(result), begun, ended)
                ended += 1


def trace(log: Path, command: Sequence[Any], names: Sequence[str] = CHANGES) -> list[str]:
    """Return the command that runs another one and writes its calls, bytes and all, to ``log``."""
    options = ["-f", "-xx", "-s", "100000000", "--seccomp-bpf", "-o", str(log)]
    return [require_strace(), *options, "-e", f"trace={','.join(names)}", *map(str, command)]
