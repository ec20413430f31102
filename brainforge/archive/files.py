"""The files of an archive, in a folder or in one uncompressed zip, read without trusting them."""

from __future__ import annotations

import json
import os
import stat
import zipfile
from pathlib import Path
from threading import Lock
from typing import Any, Final, Protocol

from brainforge.errors import ReadError

MAX_FILES: Final = 1_000_000
#: metadata documents: the root holds all sensors and events
MAX_JSON: Final = 64 << 20


class Files(Protocol):
    """Read-only access to the files of an archive, by their names inside it."""

    path: Path
    sizes: dict[str, int]

    def read(self, name: str) -> bytes:
        """Return the bytes of a file."""


def refused(path: Path, got: str, fix: str = "") -> ReadError:
    """Return the error for an archive that cannot be trusted or read."""
    return ReadError(
        where=str(path), expected="a Brain-Forge archive", got=got, fix=fix or "check the copy"
    )


class FolderFiles:
    """The files below a folder. Links that leave it, pipes and devices are refused."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.sizes: dict[str, int] = {}
        self._root = os.path.realpath(path)
        self._scan(self._root, "")

    def _scan(self, folder: str, prefix: str) -> None:
        with os.scandir(folder) as entries:
            for entry in entries:
                self._take(entry, prefix + entry.name)

    def _take(self, entry: os.DirEntry[str], name: str) -> None:
        if entry.is_symlink():
            target = os.path.realpath(entry.path)
            if not target.startswith(self._root + os.sep) or os.path.isdir(target):
                raise refused(self.path, f"a link out of the archive, {name}", "remove it")
        if entry.is_dir():
            if name.count("/") > 8:
                raise refused(self.path, f"folders nested too deep, {name[:60]}")
            self._scan(entry.path, name + "/")
            return
        try:
            found = entry.stat()
        except OSError as error:
            raise refused(self.path, f"{name}: {error.strerror}") from error
        if not stat.S_ISREG(found.st_mode):
            raise refused(self.path, f"{name}, which is not a file")
        self.sizes[name] = found.st_size
        if len(self.sizes) > MAX_FILES:
            raise refused(self.path, f"more than {MAX_FILES} files")

    def read(self, name: str) -> bytes:
        """Return the bytes of a file."""
        try:
            with open(os.path.join(self._root, name), "rb") as file:
                return file.read()
        except OSError as error:
            raise refused(self.path, f"{name}: {error.strerror}") from error


class ZipFiles:
    """The members of a zip file, which must be stored without compression."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = Lock()
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            raise refused(path, f"no readable zip file ({error})") from error
        members = self._zip.infolist()
        if any(m.compress_type != zipfile.ZIP_STORED or m.flag_bits & 1 for m in members):
            raise refused(path, "compressed or encrypted members", "store them as they are")
        self.sizes = {m.filename: m.file_size for m in members if not m.is_dir()}
        if len(self.sizes) > MAX_FILES or sum(self.sizes.values()) > path.stat().st_size:
            raise refused(path, "a zip directory larger than the file")

    def read(self, name: str) -> bytes:
        """Return the bytes of a member."""
        try:
            with self._lock:
                return self._zip.read(name)
        except (zipfile.BadZipFile, OSError, KeyError, ValueError, EOFError) as error:
            raise refused(self.path, f"member {name}: {error}") from error

    def __del__(self) -> None:
        if hasattr(self, "_zip"):
            self._zip.close()


def open_files(path: Path) -> Files:
    """Return the files of an archive, whether it is a folder or a zip."""
    if not path.exists():
        raise ReadError(where=str(path), expected="an archive", got="nothing there")
    return FolderFiles(path) if path.is_dir() else ZipFiles(path)


def read_json(files: Files, name: str) -> Any:
    """Return a metadata document, at most `MAX_JSON` bytes of it."""
    size = files.sizes.get(name)
    if size is None:
        raise refused(files.path, f"no {name} in it")
    if size > MAX_JSON:
        raise refused(files.path, f"{name} of {size} bytes, more than {MAX_JSON}")
    try:
        return json.loads(files.read(name))
    except (ValueError, RecursionError) as error:
        raise refused(files.path, f"{name}, which is not JSON ({str(error)[:80]})") from error
