"""``brainforge phantom``: a simulated recording whose truth is known, as an archive."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from brainforge.cli.import_ import check_archive_name
from brainforge.cli.output import print_json
from brainforge.cli.progress import counted, progress
from brainforge.cli.state import Debug, Json, Overwrite, Quiet
from brainforge.staging import staged


def phantom(
    out: Annotated[Path, typer.Option(help="Archive to write, NAME.zarr.")],
    duration: Annotated[float, typer.Option(help="Length in seconds.")] = 60.0,
    seed: Annotated[int, typer.Option(help="The same seed gives the same samples.")] = 0,
    channels: Annotated[int, typer.Option(help="Number of channels on the helmet.")] = 306,
    sfreq: Annotated[float, typer.Option(help="Sampling rate in Hz.")] = 1000.0,
    layout: Annotated[
        Literal["radial", "triaxial"], typer.Option(help="One or three axes at every site.")
    ] = "radial",
    overwrite: Overwrite = False,
    json_: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Simulate a recording; what was planted is written beside it as NAME.truth.json."""
    from brainforge.archive import import_recording
    from brainforge.datasets import Phantom
    from brainforge.datasets.phantom import write_truth

    check_archive_name(out, "--out")
    simulated = Phantom(
        n_channels=channels, sfreq=sfreq, duration=duration, seed=seed, layout=layout
    )
    truth = out.with_suffix(".truth.json")
    with (
        staged(out.parent, [out.name, truth.name], overwrite=overwrite) as aside,
        progress(quiet) as tell,
    ):
        import_recording(
            simulated.recording(),
            aside / out.name,
            progress=counted(tell, "simulating"),
        )
        write_truth(aside / truth.name, simulated.truth())
    if json_:
        print_json({"archive": out, "truth": truth, "duration_s": duration, "seed": seed})
    else:
        typer.echo(f"{out}: {duration:g} s of phantom, seed {seed}\n{truth}: what was planted")
