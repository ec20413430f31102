"""``brainforge repair``: finish what a crash interrupted."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from brainforge.cli.output import print_json, show
from brainforge.cli.state import Debug, ExitCode, Json
from brainforge.cli.verify import lines, look


def repair(
    archive: Annotated[Path, typer.Argument(help="Archive that was interrupted, NAME.zarr.")],
    json_: Json = False,
    debug: Debug = False,
) -> None:
    """Finish an interrupted recording from its log, then verify it. Nothing is invented.

    An archive that is finished is verified only. Exit code 0: whole; 2: damaged, no archive, or
    one that is being recorded.
    """
    from brainforge.archive.layout import LIVE

    unfinished = (archive / LIVE).is_dir()
    if unfinished:
        from brainforge.acquisition.recorder.repair import repair as finish

        finish(archive)
    found = {**look(archive), "repaired": unfinished}
    if json_:
        print_json(found)
    else:
        show("finished what was interrupted" if unfinished else "nothing to repair", *lines(found))
    if not found["ok"]:
        raise typer.Exit(ExitCode.INPUT)
