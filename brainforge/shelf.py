"""Shelf: arrays appended to one file and read again as often as one likes.

What a long session keeps of its samples lies here instead of in memory. With a path of its own
the file outlives the process: whoever comes next opens it again as far as a checkpoint knows it.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any
from weakref import ref

import numpy as np
import numpy.typing as npt

from brainforge.errors import OutputError, ReadError

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Shelved:
    """An array on a shelf; NumPy reads it where it is asked to make an array of it."""

    shelf: Shelf
    offset: int
    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        if copy is False:
            raise ValueError("an array on a shelf is read into memory: it cannot be had uncopied")
        array = self.shelf.read(self.offset, self.dtype, self.shape)
        return array if dtype is None else array.astype(dtype, copy=False)

    def state(self) -> dict[str, Any]:
        """Return where it lies, JSON-ready; `Shelf.filled` finds it again."""
        return {"shelved": self.offset, "dtype": self.dtype.str, "shape": list(self.shape)}


class Shelf:
    """An append-only file of arrays.

    Parameters
    ----------
    path : Path | None
        A file that outlives the process; None for a temporary one that nobody else can open
        and that is gone with the process.
    folder : str | None
        Where the temporary file goes; the system's default where None.

    Notes
    -----
    Nothing is synced: what was put survives the death of the process, not a loss of power.
    """

    def __init__(self, path: Path | None = None, folder: str | None = None) -> None:
        self._where = str(path or folder or tempfile.gettempdir())
        self._named = path is not None
        try:
            if path is None:
                self._file: Any = tempfile.TemporaryFile(  # noqa: SIM115
                    prefix="brainforge-", dir=folder, buffering=0
                )
            else:
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                self._file = os.fdopen(descriptor, "r+b", buffering=0)
        except OSError as error:
            raise OutputError(
                f"{self._where}: expected room for the working copy, got {error.strerror}"
            ) from error
        #: bytes in use: what lies beyond is written over
        self.size = 0
        self._placing = Lock()
        #: where arrays that still live were put, by their identity
        self._kept: dict[int, tuple[ref[Array], Shelved]] = {}
        self._most = 256

    def close(self) -> None:
        """Close the file; a temporary one is gone with it."""
        self._file.close()

    def reopen(self, size: int) -> None:
        """Go on behind the first ``size`` bytes, which a process before this one has put there.

        Raises
        ------
        ReadError
            The file has fewer.
        """
        held = os.fstat(self._file.fileno()).st_size
        if held < size:
            raise ReadError(where=self._where, expected=f"{size} bytes", got=f"{held}")
        os.ftruncate(self._file.fileno(), size)
        self.size = size

    def put(self, array: Array) -> Shelved:
        """Append an array.

        Raises
        ------
        OutputError
            The disk is full.
        """
        view = np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
        # the lanes of a pass put what they have at the same time
        with self._placing:
            at = self.size
            self.size += len(view)
        place = Shelved(self, at, array.dtype, array.shape)
        try:
            while view:
                n = os.pwrite(self._file.fileno(), view, at)
                view, at = view[n:], at + n
        except OSError as error:
            hint = "" if self._named else " or set TMPDIR"
            raise OutputError(
                f"{self._where}: expected room for the working copy, got {error.strerror}; "
                f"free some space{hint}"
            ) from error
        return place

    def keep(self, array: Array) -> dict[str, Any]:
        """Put an array that nobody will change and return its place; the same one is put once."""
        found = self._kept.get(id(array))
        if found is not None and found[0]() is array:
            return found[1].state()
        place = self.put(array)
        self._remember(array, place)
        return place.state()

    def _remember(self, array: Array, place: Shelved) -> None:
        self._kept[id(array)] = (ref(array), place)
        if len(self._kept) > self._most:
            self._kept = {key: pair for key, pair in self._kept.items() if pair[0]() is not None}
            self._most = 2 * len(self._kept) + 256

    def read(self, offset: int, dtype: Any, shape: Iterable[int]) -> Array:
        """Return the array that lies at ``offset``.

        Raises
        ------
        OutputError
            The file is shorter than it was, or the disk fails.
        """
        array = np.empty(tuple(shape), dtype)
        view = array.reshape(-1).view(np.uint8).data
        try:
            while view and (n := os.preadv(self._file.fileno(), [view], offset)):
                view, offset = view[n:], offset + n
        except OSError as error:
            raise OutputError(
                f"{self._where}: the working copy could not be read, {error.strerror}"
            ) from error
        if view:
            raise OutputError(f"{self._where}: expected the whole working copy, got less")
        return array

    def at(self, state: dict[str, Any]) -> Shelved:
        """Return the place that `Shelved.state` told."""
        return Shelved(self, state["shelved"], np.dtype(state["dtype"]), tuple(state["shape"]))

    def filled(self, state: Any) -> Any:
        """Return a state in which arrays stand where it only named their places."""
        if isinstance(state, dict):
            if "shelved" in state:
                place = self.at(state)
                array = np.asarray(place)
                self._remember(array, place)
                return array
            return {k: self.filled(v) for k, v in state.items()}
        if isinstance(state, (list, tuple)):
            return type(state)(self.filled(v) for v in state)
        return state
