"""Run a command: whatever goes wrong becomes one line on stderr and a documented exit code."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Iterator
from types import FrameType

import typer

from brainforge.cli.state import ExitCode, State
from brainforge.errors import BrainForgeError

#: base of a mistake in the arguments; typer gives it no public name of its own
UsageError = typer.BadParameter.__mro__[1]


def run(app: typer.Typer, arguments: list[str]) -> int:
    """Run ``app`` and return the exit code.

    A `BrainForgeError`, a mistake in the arguments and an operating system's error each give
    one line; anything else is a defect of the program, exit code 1. ``--debug`` adds the
    traceback to all of them.
    """
    state = State()
    with _termination_unwinds():
        try:
            _prepare(arguments)
            command = typer.main.get_command(app)
            # not `command.main`, which gives interrupts and closed pipes codes of its own
            with command.make_context("brainforge", arguments, obj=state) as context:
                command.invoke(context)
            if sys.stdout is not None:  # None where it was closed from the beginning
                sys.stdout.flush()
            return ExitCode.DONE
        except BaseException as error:
            return _explain(error, state)


def _prepare(arguments: list[str]) -> None:
    """Keep libraries from writing on the streams that belong to the result and to errors."""
    os.environ.setdefault("MNE_LOGGING_LEVEL", "ERROR")
    if "--debug" not in arguments:
        warnings.simplefilter("ignore")


@contextlib.contextmanager
def _termination_unwinds() -> Iterator[None]:
    """Let SIGTERM unwind the stack as Ctrl-C does, so that half-written outputs are removed."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    try:
        previous = signal.signal(signal.SIGTERM, stop)
    except ValueError:
        # not in the main thread: signals are the caller's business
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def _explain(error: BaseException, state: State) -> int:
    """Print the one line that belongs to an error and return the exit code."""
    text, code = _line_and_code(error)
    if isinstance(error, BrokenPipeError):
        # the interpreter would fail once more when it flushes at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    # a closed stderr leaves nobody to tell; the exit code still says it
    with contextlib.suppress(OSError, ValueError):
        if state.debug and isinstance(error, Exception):
            traceback.print_exception(error, file=sys.stderr)
        if text:
            print(f"error: {' '.join(text.split())}", file=sys.stderr, flush=True)
    return code


def _line_and_code(error: BaseException) -> tuple[str, int]:
    if isinstance(error, BrainForgeError):
        return str(error), error.exit_code
    if isinstance(error, typer.Exit):
        return "", error.exit_code
    if isinstance(error, UsageError):
        hint = "; see brainforge --help"
        return f"{error.format_message().rstrip('.')}{hint}", ExitCode.INPUT  # type: ignore[attr-defined]
    if isinstance(error, (KeyboardInterrupt, typer.Abort)):
        return "interrupted; nothing half-written is left", ExitCode.INTERRUPTED
    if isinstance(error, SystemExit):
        code = error.code if isinstance(error.code, int) else 1
        return ("terminated; nothing half-written is left" if code > 128 else ""), code
    if isinstance(error, BrokenPipeError):
        return "standard output was closed before all of the result was printed", ExitCode.PART
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror or error}", ExitCode.INPUT
    if isinstance(error, MemoryError):
        return f"out of memory: {error}".rstrip(": "), ExitCode.INTERNAL
    return (
        f"internal error, please report it: {type(error).__name__}: {error} (--debug shows where)",
        ExitCode.INTERNAL,
    )
