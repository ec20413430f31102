"""``brainforge import``: any recording into the product's own archive, losslessly."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from brainforge.cli.opening import Bads, LineFreq, Sensors, Subject, open_file
from brainforge.cli.output import print_json
from brainforge.cli.progress import counted, progress
from brainforge.cli.state import Debug, Json, Overwrite, Quiet
from brainforge.errors import InputError
from brainforge.staging import staged


def import_(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="Recording in a vendor's format.")],
    out: Annotated[Path, typer.Option(help="Archive to write, NAME.zarr.")],
    sensors: Sensors = None,
    line_freq: LineFreq = None,
    subject: Subject = None,
    bads: Bads = None,
    overwrite: Overwrite = False,
    json_: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Store a recording as an archive: every sample bit for bit, compressed and checksummed."""
    check_archive_name(out, "--out")
    recording = open_file(context, file, sensors, line_freq, subject, bads)
    refuse_itself(file, out)
    from brainforge.archive import import_recording

    with (
        staged(out.parent, [out.name], overwrite=overwrite) as aside,
        progress(quiet) as tell,
    ):
        import_recording(recording, aside / out.name, progress=counted(tell, "archiving"))
    size = sum(each.stat().st_size for each in out.rglob("*") if each.is_file())
    if json_:
        print_json({"archive": out, "n_samples": recording.n_samples, "size_bytes": size})
    else:
        typer.echo(f"{out}: {recording.duration:.1f} s in {size / 1e6:.1f} MB")


def check_archive_name(path: Path, where: str) -> None:
    """Raise InputError where an archive's name does not end as archives do."""
    if path.suffix != ".zarr":
        raise InputError(where=where, expected="a name ending in .zarr", got=repr(path.name))


def refuse_itself(source: Path, target: Path) -> None:
    """Raise InputError where an output would replace the very recording it is made from."""
    if target.exists() and source.resolve() == target.resolve():
        raise InputError(
            where="--out", expected="another place than the recording's own", got=str(target)
        )
