"""HDF5 files may point at other files of the computer that opens them; those are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from brainforge.errors import ReadError

SIGNATURE: Final = b"\x89HDF\r\n\x1a\n"
MAX_OBJECTS: Final = 100_000
MAX_DEPTH: Final = 32
#: a data set may claim this many times the bytes of the file that holds it
MAX_EXPANSION: Final = 1000


def is_hdf5(path: Path) -> bool:
    """Return whether a file begins as HDF5 does, or as MATLAB's wrapping of it does."""
    with path.open("rb") as file:
        head = file.read(520)
    return head.startswith(SIGNATURE) or head[512:520] == SIGNATURE


def check_hdf5(path: Path) -> None:
    """Raise ReadError where an HDF5 file reaches outside itself or expands beyond reason.

    Looked at are links and shapes only; no data are read.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            _check_group(path, file, 0, [0], path.stat().st_size)
    except ReadError:
        raise
    except Exception as error:  # the library raises whatever a damaged file leads to
        raise ReadError(where=str(path), expected="an HDF5 file", got=str(error)[:160]) from error


def _refuse(path: Path, got: str) -> ReadError:
    return ReadError(
        where=str(path),
        expected="an HDF5 file that holds its own data",
        got=got,
        fix="do not use it",
    )


def _check_group(path: Path, group: Any, depth: int, count: list[int], size: int) -> None:
    import h5py

    if depth > MAX_DEPTH:
        raise _refuse(path, f"groups nested deeper than {MAX_DEPTH}")
    for name in group:
        count[0] += 1
        if count[0] > MAX_OBJECTS:
            raise _refuse(path, f"more than {MAX_OBJECTS} objects")
        link = group.get(name, getlink=True)
        if isinstance(link, h5py.ExternalLink):
            raise _refuse(path, f"a link into another file at {group.name}/{name}")
        if isinstance(link, h5py.SoftLink):
            continue
        item = group[name]
        if isinstance(item, h5py.Group):
            _check_group(path, item, depth + 1, count, size)
        elif isinstance(item, h5py.Dataset):
            if item.external or item.is_virtual:
                raise _refuse(path, f"data kept in another file at {item.name}")
            if item.size and item.size * item.dtype.itemsize > MAX_EXPANSION * size:
                raise _refuse(path, f"{item.size} values in a file of {size} bytes at {item.name}")
