"""What all commands share: exit codes, options, settings."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from pathlib import Path
from typing import Annotated

import typer

from brainforge.config import Settings, load_settings


class ExitCode(IntEnum):
    """What the process returns; documented in ``brainforge --help``."""

    DONE = 0
    INTERNAL = 1
    INPUT = 2
    PART = 3
    INTERRUPTED = 130


@dataclass
class State:
    """One invocation: ``debug`` asks for tracebacks, ``config`` is the settings file given."""

    debug: bool = False
    config: Path | None = None

    @cached_property
    def settings(self) -> Settings:
        """Settings in force; read when a command first asks for them."""
        return load_settings(self.config)


def state_of(context: typer.Context) -> State:
    """Return the state of the invocation that a command belongs to."""
    state = context.find_root().obj
    assert isinstance(state, State)
    return state


def _note_debug(context: typer.Context, value: bool) -> bool:
    state_of(context).debug |= value
    return value


Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]
Debug = Annotated[
    bool,
    typer.Option("--debug", help="Show the traceback of an error.", callback=_note_debug),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace outputs that exist.")]
