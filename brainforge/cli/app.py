"""The program ``brainforge``: its options and its commands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from brainforge import __version__
from brainforge.cli.demo import demo
from brainforge.cli.diagnose import diagnose
from brainforge.cli.export import export
from brainforge.cli.import_ import import_
from brainforge.cli.info import info
from brainforge.cli.live import live, record
from brainforge.cli.phantom import phantom
from brainforge.cli.process import process
from brainforge.cli.recipes import recipes
from brainforge.cli.repair import repair
from brainforge.cli.state import state_of
from brainforge.cli.verify import verify

app = typer.Typer(
    add_completion=False,
    no_args_is_help=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["--help", "-h"]},
)


def _show_version(value: bool) -> None:
    if value:
        typer.echo(f"brainforge {__version__}")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", is_eager=True, callback=_show_version),
    ] = False,
    config: Annotated[
        Path | None,
        typer.Option(help="Settings file, instead of ~/.config/brainforge/config.toml."),
    ] = None,
) -> None:
    """Brain-Forge: an engine for OPM and SQUID magnetoencephalography.

    Results go to standard output, progress to standard error. Exit codes: 0 done, 1 internal
    error, 2 bad input or usage, 3 done in part, 130 interrupted. Settings come from the options,
    else from the environment (BRAINFORGE_THREADS, BRAINFORGE_LINE_FREQ, BRAINFORGE_RECIPE,
    BRAINFORGE_BACKEND, BRAINFORGE_DEVICE_MEMORY), else from the settings file, else from the
    defaults.
    """
    state_of(context).config = config


app.command("demo")(demo)
app.command("diagnose")(diagnose)
app.command("process")(process)
app.command("info")(info)
app.command("live")(live)
app.command("record")(record)
app.command("import")(import_)
app.command("export")(export)
app.command("verify")(verify)
app.command("repair")(repair)
app.command("recipes")(recipes)
app.command("phantom")(phantom)
