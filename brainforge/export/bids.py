"""Export to BIDS through mne-bids (extra ``bids``)."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from brainforge.archive.mne_info import quiet_mne
from brainforge.errors import BrainForgeError, InputError, OutputError
from brainforge.export.fif import export_fif
from brainforge.recording import Recording
from brainforge.units import MEG_KINDS


def _mne_bids() -> Any:
    try:
        import mne_bids
    except ImportError as error:
        raise InputError(
            where="export to BIDS",
            expected="the package mne-bids",
            got="an environment without it",
            fix="install brainforge[bids]",
        ) from error
    return mne_bids


def export_bids(
    recording: Recording,
    root: str | os.PathLike[str],
    subject: str,
    task: str,
    *,
    session: str | None = None,
    run: str | None = None,
    line_freq: float | None = None,
) -> Path:
    """Write a recording into a BIDS data set and return the path of its FIF file.

    Parameters
    ----------
    recording : Recording
        With MEG channels; coil types (of OPMs, too) survive.
    root : path-like
        Of the data set; made where it does not exist.
    subject, task : str
        Letters and digits only.
    session, run : str | None
    line_freq : float | None
        BIDS demands the mains frequency; needed where the recording does not know it.

    Raises
    ------
    InputError
        Where mne-bids is not installed, a label breaks BIDS, or the mains frequency is missing.
    OutputError
        Where the recording is in the data set already, or cannot be written.
    """
    mne_bids = _mne_bids()
    import mne

    line_freq = line_freq or recording.info.line_freq
    if line_freq is None:
        raise InputError(
            where="export to BIDS", expected="a mains frequency", got="none", fix="give --line-freq"
        )
    if not recording.info.names_of(*MEG_KINDS):
        raise InputError(where="export to BIDS", expected="MEG channels", got="none")
    try:
        target = mne_bids.BIDSPath(
            subject=subject, task=task, session=session, run=run, root=Path(root), datatype="meg"
        )
    except ValueError as error:
        raise InputError(
            where="BIDS label", expected="letters and digits", got=str(error)[:120]
        ) from error
    info = replace(recording.info, line_freq=line_freq, subject=subject)
    with tempfile.TemporaryDirectory() as folder, _tidy(Path(root), subject):
        source = export_fif(replace(recording, info=info), Path(folder) / "export_raw.fif")
        with quiet_mne():
            raw = mne.io.read_raw_fif(source)
            written = mne_bids.write_raw_bids(raw, target, overwrite=False, verbose=False)
    return Path(written.fpath)


@contextmanager
def _tidy(root: Path, subject: str) -> Iterator[None]:
    """Remove what a failed export made, and turn its error into one of ours."""
    folder = root / f"sub-{subject}"
    made = [p for p in (root, folder) if not p.exists()]
    try:
        yield
    except FileExistsError as error:
        raise OutputError(f"{root}: sub-{subject} has this task already") from error
    except BaseException as error:
        for path in made:
            shutil.rmtree(path, ignore_errors=True)
        if isinstance(error, OSError) and not isinstance(error, BrainForgeError):
            raise OutputError(f"{root}: cannot be written: {error.strerror or error}") from error
        if isinstance(error, (TypeError, ValueError, RuntimeError)) and not isinstance(
            error, BrainForgeError
        ):
            raise InputError(
                where="export to BIDS",
                expected="a system that mne-bids can write as FIF",
                got=str(error)[:160],
                fix="export it to FIF instead",
            ) from error
        raise
