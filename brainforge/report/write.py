"""Writing the report: whole or not at all."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from brainforge.errors import OutputError
from brainforge.report.render import render_report
from brainforge.result import Result


def write_report(result: Result, path: str | Path, overwrite: bool = False) -> Path:
    """Write the report as one self-contained HTML file.

    Parameters
    ----------
    result : Result
    path : str or Path
        File to write; its folder has to exist.
    overwrite : bool
        Whether an existing file may be replaced.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    OutputError
        The file exists, or cannot be written (no folder, no right, no space). Nothing is
        left behind then, and an old file stays as it was.
    """
    target = Path(path)
    if target.exists() and not overwrite:
        raise OutputError(f"{target}: the report exists; choose another name or overwrite it")
    if not target.parent.is_dir():
        raise OutputError(f"{target}: the folder {target.parent} does not exist; make it first")
    page = render_report(result).encode("utf-8")
    try:
        _publish(page, target, overwrite)
    except FileExistsError:
        raise OutputError(
            f"{target}: the report exists; choose another name or overwrite it"
        ) from None
    except OSError as error:
        raise OutputError(f"{target}: cannot write the report ({error.strerror})") from error
    return target


def _publish(page: bytes, target: Path, overwrite: bool) -> None:
    part = target.with_name(f".{target.name}.{os.getpid()}-{secrets.token_hex(4)}.part")
    try:
        with part.open("xb") as out:
            out.write(page)
            out.flush()
            os.fsync(out.fileno())
        if not overwrite:
            # claim the name first: another process may have made the file meanwhile
            os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)
