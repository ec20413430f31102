"""``brainforge process``: a recording to findings, report, archive and connectivity."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from brainforge.cli.choice import chosen_backend
from brainforge.cli.job import Job, run_job
from brainforge.cli.opening import (
    Bads,
    LineFreq,
    Sensors,
    Subject,
    is_archive,
    open_file,
    recording_name,
)
from brainforge.cli.output import print_json, show
from brainforge.cli.progress import progress
from brainforge.cli.state import Debug, Json, Overwrite, Quiet, state_of
from brainforge.cli.summary import summary
from brainforge.staging import refuse_existing


def process(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="Recording: an archive or a vendor's format.")],
    out: Annotated[Path, typer.Option(help="Folder for the outputs.")],
    recipe: Annotated[
        str | None, typer.Option(help="Recipe: a name (see `recipes`) or a TOML file.")
    ] = None,
    sensors: Sensors = None,
    line_freq: LineFreq = None,
    subject: Subject = None,
    bads: Bads = None,
    threads: Annotated[int | None, typer.Option(help="Threads to use; 0 for all cores.")] = None,
    backend: Annotated[
        str | None, typer.Option(help="Where to compute: auto, cpu or cuda (see `diagnose`).")
    ] = None,
    no_archive: Annotated[
        bool, typer.Option("--no-archive", help="Do not store the recording as an archive.")
    ] = False,
    overwrite: Overwrite = False,
    json_: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Process a recording: findings, an HTML report, an archive, connectivity.

    The folder gets report.html, result.json, connectivity.zarr and NAME.zarr; all of them or,
    where something goes wrong, none.
    """
    from brainforge.recipe import load_recipe

    settings = state_of(context).settings
    chosen = recipe or settings.recipe
    # mistakes that cost nothing to find come before the work
    load_recipe(chosen)
    where = chosen_backend(settings, threads, backend)
    begun = time.perf_counter()
    recording = open_file(context, file, sensors, line_freq, subject, bads)
    ingest_s = time.perf_counter() - begun
    archived_as = str(file) if is_archive(recording) else ""
    archive = "" if no_archive or archived_as else f"{recording_name(file)}.zarr"
    job = Job(out, chosen, where, archive, archived_as, overwrite)
    if not overwrite and out.is_dir():
        refuse_existing(out, job.names)
    with progress(quiet) as tell:
        result, payload = run_job(job, recording, tell, ingest_s=ingest_s)
    if json_:
        print_json(payload)
    else:
        show(*summary(result, payload))
