"""Outputs appear whole or not at all: written aside, checked, and moved into place at the end."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from brainforge.errors import OutputError


def refuse_existing(folder: Path, names: Iterable[str]) -> None:
    """Raise OutputError where ``folder`` holds one of ``names`` already."""
    for name in names:
        if os.path.lexists(folder / name):
            raise OutputError(
                f"{folder / name}: expected no such output yet, found one; "
                "add --overwrite to replace it or choose another --out"
            )


@contextmanager
def staged(folder: Path, names: Iterable[str], *, overwrite: bool = False) -> Iterator[Path]:
    """Give an empty folder to write into; on success its content is moved into ``folder``.

    Leaving by an exception, Ctrl-C included, removes everything written, and the folders made.

    Parameters
    ----------
    folder : Path
        Where the outputs are to be; made where it is missing. What else it holds stays.
    names : iterable of str
        The outputs that may be written.
    overwrite : bool
        Replace outputs that exist. Only they: the new ones come from a finished run.

    Raises
    ------
    OutputError
        ``folder`` is no folder, or holds one of the outputs and ``overwrite`` is False.
    """
    names = tuple(names)
    if os.path.lexists(folder) and not folder.is_dir():
        raise OutputError(f"{folder}: expected a folder or nothing, found a file; choose another")
    if not overwrite:
        refuse_existing(folder, names)
    made = _make_folders(folder)
    # inside the folder, so that moving into place never crosses a file system
    aside = Path(tempfile.mkdtemp(prefix=".brainforge-", suffix=".partial", dir=folder))
    try:
        yield aside
        if not overwrite:
            # also what nobody could name before, like the parts of a split file
            refuse_existing(folder, (item.name for item in aside.iterdir()))
        _publish(aside, folder)
    except BaseException as error:
        shutil.rmtree(aside, ignore_errors=True)
        for each in made:
            # not ours any more if someone else has put something into it meanwhile
            if not any(each.iterdir()):
                each.rmdir()
        if isinstance(error, OutputError) and str(aside) in str(error):
            # name the place that the user knows
            raise OutputError(str(error).replace(str(aside), str(folder))) from error
        raise
    shutil.rmtree(aside)


def _make_folders(folder: Path) -> list[Path]:
    """Make a folder and what is missing above it; return those made, deepest first."""
    missing = []
    at = folder.absolute()
    while not at.exists():
        missing.append(at)
        at = at.parent
    for each in reversed(missing):
        each.mkdir()
    return missing


def _publish(aside: Path, folder: Path) -> None:
    """Move everything of ``aside`` into ``folder``; undo it if that fails half way."""
    previous = aside / ".replaced"
    previous.mkdir()
    moved: list[tuple[str, bool]] = []
    try:
        for item in sorted(p for p in aside.iterdir() if p != previous):
            target = folder / item.name
            existed = os.path.lexists(target)
            if existed:
                target.rename(previous / item.name)
            moved.append((item.name, existed))
            item.rename(target)
    except BaseException:
        for name, existed in reversed(moved):
            if not os.path.lexists(aside / name):
                (folder / name).rename(aside / name)
            if existed:
                (previous / name).rename(folder / name)
        raise


@contextmanager
def restored_on_failure(folder: Path, largest: int = 1 << 20) -> Iterator[None]:
    """Undo additions to a folder that others share, where adding to it fails half way.

    New files and folders are removed; files of at most ``largest`` bytes, which is what gets
    amended (tables, descriptions), get back what they held.
    """
    before = {path: _content(path, largest) for path in folder.rglob("*")}
    try:
        yield
    except BaseException:
        for path in sorted(folder.rglob("*"), reverse=True):
            if path not in before:
                path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
        for path, held in before.items():
            if held is not None and _content(path, largest) != held:
                path.write_bytes(held)
        raise


def _content(path: Path, largest: int) -> bytes | None:
    if path.is_symlink() or not path.is_file() or path.stat().st_size > largest:
        return None
    return path.read_bytes()
