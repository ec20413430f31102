"""Export to FIF, the format of MNE-Python and MEGIN."""

from __future__ import annotations

import os
from pathlib import Path

from brainforge.archive.mne_info import quiet_mne
from brainforge.errors import InputError, OutputError
from brainforge.export.mne_raw import to_raw
from brainforge.recording import Recording


def export_fif(recording: Recording, path: str | os.PathLike[str]) -> Path:
    """Write a recording as a float32 FIF file in SI and return its path.

    FIF cannot hold int16 counts with SI calibration of more than 7 digits, so this is for other
    programs; the archive is what is lossless. Parts over 2 GB are split as MNE does.

    Parameters
    ----------
    recording : Recording
    path : path-like
        Must not exist; ends in ``_meg.fif`` or ``_raw.fif`` by MNE's convention.

    Raises
    ------
    OutputError
        Where the file exists or cannot be written; nothing is left behind.
    """
    path = Path(path)
    if path.suffix != ".fif":
        raise InputError(
            where=str(path), expected="a name ending in .fif", got=path.suffix or "none"
        )
    if os.path.lexists(path):
        raise OutputError(f"{path}: exists already; choose another name or remove it first")
    before = set(path.parent.glob(f"{path.stem}*.fif"))
    try:
        with quiet_mne():
            to_raw(recording).save(path, fmt="single", overwrite=False)
    except BaseException as error:
        for part in set(path.parent.glob(f"{path.stem}*.fif")) - before:
            part.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error
        raise
    return path
