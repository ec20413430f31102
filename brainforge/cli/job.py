"""The main job: a recording in, a folder with report, archive, connectivity and JSON out."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brainforge.backend import Backend
from brainforge.cli.progress import Tell, counted
from brainforge.flow import Source
from brainforge.outputs import (
    CONNECTIVITY,
    REPORT,
    RESULT,
    result_document,
    write_document,
    write_views,
)
from brainforge.recording import Recording
from brainforge.result import Result
from brainforge.staging import staged


@dataclass(frozen=True)
class Job:
    """What to do and where to leave it.

    Parameters
    ----------
    folder : Path
        Where the outputs go.
    recipe : str
        A recipe's name or the path of a TOML file.
    backend : Backend
    archive : str
        Name of the archive to write, e.g. ``NAME.zarr``; empty for none.
    archived_as : str
        The archive that the recording was opened from, where it was one.
    overwrite : bool
        Replace outputs that exist.
    """

    folder: Path
    recipe: str
    backend: Backend
    archive: str = ""
    archived_as: str = ""
    overwrite: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The outputs that may be written into the folder."""
        return tuple(n for n in (REPORT, CONNECTIVITY, RESULT, self.archive) if n)


def run_job(
    job: Job, recording: Recording | Source, tell: Tell, *, ingest_s: float = 0.0
) -> tuple[Result, dict[str, Any]]:
    """Process a recording and write its outputs; nothing half-written stays behind.

    Parameters
    ----------
    ingest_s : float
        Seconds it took to open the recording.

    Returns
    -------
    result : Result
    payload : dict
        What ``brainforge process --json`` prints; also written to ``result.json``.
    """
    import brainforge as bf

    begun = time.perf_counter() - ingest_s
    with staged(job.folder, job.names, overwrite=job.overwrite) as aside:
        result = bf.process(recording, recipe=job.recipe, backend=job.backend, progress=tell)
        spent = {"ingest_s": ingest_s + result.timings.get("ingest_s", 0.0)}
        outputs, spent["report_s"] = write_views(result, aside, job.folder, tell)
        outputs["archive"] = _archive(job, recording, aside, tell, spent)
        spent["total_s"] = time.perf_counter() - begun
        payload = result_document(result, {**result.timings, **spent}, outputs)
        write_document(payload, aside)
    return result, payload


def _archive(
    job: Job, recording: Recording | Source, aside: Path, tell: Tell, spent: dict[str, float]
) -> str | None:
    """Write the archive where one is wanted; return where it will be, or is already."""
    if not (job.archive and isinstance(recording, Recording)):
        return job.archived_as or None
    from brainforge.archive import import_recording

    begun = time.perf_counter()
    import_recording(recording, aside / job.archive, progress=counted(tell, "archiving"))
    spent["archive_s"] = time.perf_counter() - begun
    return str(job.folder / job.archive)
