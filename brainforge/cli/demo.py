"""``brainforge demo``: a real and a simulated recording, the whole way, with two reports."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from brainforge.cli.choice import chosen_backend
from brainforge.cli.job import Job, run_job
from brainforge.cli.output import print_json, show, table
from brainforge.cli.progress import progress
from brainforge.cli.state import Debug, Json, Quiet, state_of
from brainforge.cli.summary import findings_table, summary
from brainforge.cli.truth import Check, compare
from brainforge.recording import Recording
from brainforge.result import Result

#: samples that the phantom hands over at a time: what a sensor array sends ten times a second
BLOCK = 100


def demo(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="Folder; earlier demos in it are replaced.")] = Path(
        "brainforge-demo"
    ),
    seconds: Annotated[float, typer.Option(help="Length of the simulated recording.")] = 60.0,
    seed: Annotated[int, typer.Option(help="Seed of the simulated recording.")] = 7,
    threads: Annotated[int | None, typer.Option(help="Threads to use; 0 for all cores.")] = None,
    json_: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Process the bundled recording and a simulated one, and compare the latter with its truth.

    The simulated recording, 306 channels at 1 kHz, is fed block by block as sensors would.
    """
    from brainforge import datasets

    settings = state_of(context).settings
    backend = chosen_backend(settings, threads)
    phantom = datasets.Phantom(duration=seconds, seed=seed)
    with progress(quiet) as tell:

        def staged_tell(prefix: str) -> Any:
            return lambda stage, share: tell(f"{prefix}: {stage}", share)

        begun = time.perf_counter()
        real: Recording = datasets.sample()
        real_job = Job(out / "sample", settings.recipe, backend, overwrite=True)
        sample, sample_json = run_job(
            real_job, real, staged_tell("sample"), ingest_s=time.perf_counter() - begun
        )
        phantom_job = Job(out / "phantom", settings.recipe, backend, overwrite=True)
        simulated, phantom_json = run_job(
            phantom_job, phantom.source(BLOCK), staged_tell("phantom")
        )
    checks = compare(phantom.truth(), simulated)
    if json_:
        print_json(
            {
                "sample": sample_json,
                "phantom": {**phantom_json, "truth": [asdict(check) for check in checks]},
            }
        )
    else:
        _show(sample, sample_json, simulated, phantom_json, checks)


def _show(
    sample: Result,
    sample_json: dict[str, Any],
    simulated: Result,
    phantom_json: dict[str, Any],
    checks: tuple[Check, ...],
) -> None:
    made = table("Planted and found", "what", "planted", "found", "")
    for check in checks:
        made.add_row(check.what, check.planted, check.found, "yes" if check.ok else "no")
    show(
        "A real recording (306 channels, MNE-Python's test recording)",
        *summary(sample, sample_json),
        "",
        "A simulated recording, fed block by block",
        findings_table(simulated.findings),
        made,
        "Reports to open in a browser:",
        f"  {Path(sample_json['outputs']['report']).resolve()}",
        f"  {Path(phantom_json['outputs']['report']).resolve()}",
    )
