"""`open_recording`: look at what a path holds and hand it to the reader of its format."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from brainforge.errors import InputError, ReadError
from brainforge.info import Info
from brainforge.recording import Recording


def _is_archive(path: Path) -> bool:
    if path.is_dir():
        return path.suffix == ".zarr" or (path / "zarr.json").is_file()
    return path.name.endswith((".zarr.zip", ".zarr"))


def _open(path: Path) -> Recording:
    if not os.path.lexists(path):
        raise ReadError(
            where=str(path), expected="a recording", got="nothing there", fix="check the name"
        )
    if not path.exists():
        raise ReadError(where=str(path), expected="a recording", got="a link to nothing")
    if _is_archive(path):
        from brainforge.archive.reader import open_archive

        return open_archive(path)
    if path.is_file() and path.stat().st_size == 0:
        raise ReadError(where=str(path), expected="a recording", got="an empty file (0 bytes)")
    if not path.is_file() and not path.is_dir():
        raise ReadError(where=str(path), expected="a file or a folder", got="something else")
    if path.suffix.lower() == ".cmeg":
        from brainforge.readers.cerca import open_cerca

        return open_cerca(path)
    if path.suffix.lower() == ".lvm":
        from brainforge.readers.quspin import open_lvm

        return open_lvm(path)
    from brainforge.readers.mne_reader import open_mne

    return open_mne(path)


def with_options(
    info: Info,
    *,
    line_freq: float | None = None,
    subject: str | None = None,
    bads: Iterable[str] = (),
) -> Info:
    """Return ``info`` with what its user knows better; see `open_recording`."""
    if line_freq is not None:
        if not 0 < line_freq < info.sfreq:
            raise InputError(where="line frequency", expected="50 or 60 Hz", got=f"{line_freq} Hz")
        info = replace(info, line_freq=float(line_freq))
    if subject is not None:
        info = replace(info, subject=subject)
    bads = tuple(bads)
    return info.with_bads({*info.bads, *bads}) if bads else info


def open_recording(
    path: str | os.PathLike[str],
    *,
    sensors: str | os.PathLike[str] | None = None,
    line_freq: float | None = None,
    subject: str | None = None,
    bads: Iterable[str] = (),
) -> Recording:
    """Open a recording without holding its samples in memory.

    Parameters
    ----------
    path : path-like
        An archive (``.zarr`` or ``.zarr.zip``), a Cerca ``.cMEG``, a QuSpin ``.lvm``, or
        anything that MNE reads; for 4D/BTi the data file or its folder.
    sensors : path-like | None
        A table of names, kinds, units, calibrations and geometry; see
        `brainforge.readers.sensors_tsv`.
    line_freq : float | None
        Mains frequency in Hz, where the file does not say; it overrides the file.
    subject : str | None
        A pseudonym.
    bads : iterable of str
        Channels to mark bad besides those the file marks.

    Returns
    -------
    recording : Recording
        ``source`` holds ``path`` (the name), ``format``, ``sha256`` and ``notes``.

    Raises
    ------
    ReadError
        Where it cannot be read, or its values cannot be in the unit they claim.
    InputError
        Where an option names what the recording does not have.
    """
    from brainforge.readers.gate import check_units

    path = Path(path)
    try:
        recording = _open(path)
    except PermissionError as error:
        raise ReadError(
            where=str(path), expected="a readable file", got=str(error.strerror)
        ) from error
    if sensors is not None:
        from brainforge.readers.sensors_tsv import apply_sensors

        info, notes = apply_sensors(recording.info, Path(sensors))
        source = {**recording.source, "notes": [*recording.source["notes"], *notes]}
        source["sensors"] = Path(sensors).name
        recording = replace(recording, info=info, source=source)
    info = with_options(recording.info, line_freq=line_freq, subject=subject, bads=bads)
    recording = replace(recording, info=info)
    check_units(recording, str(path))
    return recording
