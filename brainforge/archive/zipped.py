"""One file instead of a folder: an archive as an uncompressed, reproducible zip."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

from brainforge.errors import OutputError


def zip_archive(folder: str | os.PathLike[str], path: str | os.PathLike[str]) -> Path:
    """Pack an archive folder into ``path``; the same files give the same bytes.

    zarr and xarray read it too. Counts stay compressed as they are; nothing is compressed twice.
    """
    folder, path = Path(folder), Path(path)
    if path.exists():
        raise OutputError(f"{path}: exists already; choose another name or remove it first")
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}")
    try:
        with zipfile.ZipFile(partial, "x", zipfile.ZIP_STORED) as out:
            for file in sorted(p for p in folder.rglob("*") if p.is_file()):
                name = zipfile.ZipInfo(file.relative_to(folder).as_posix(), (1980, 1, 1, 0, 0, 0))
                name.external_attr = 0o644 << 16
                out.writestr(name, file.read_bytes())
        partial.rename(path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        partial.unlink(missing_ok=True)
    return path
