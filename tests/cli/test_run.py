"""Every way a command can end: one line on stderr and the documented exit code."""

from __future__ import annotations

import os
import signal
import threading

import pytest
import typer

from brainforge.cli.run import run
from brainforge.cli.state import Debug, ExitCode
from brainforge.errors import BrainForgeError, InputError, OutputError


def _failing(error: BaseException) -> typer.Typer:
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

    @app.callback()
    def options() -> None:
        """Have subcommands."""

    @app.command()
    def fail(number: int = 0, debug: Debug = False) -> None:
        raise error

    return app


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (
            InputError(where="x", expected="a", got="b", fix="do c"),
            2,
            "error: x: expected a, got b; do c",
        ),
        (OutputError("y: exists"), 2, "error: y: exists"),
        (BrainForgeError("two\nlines"), 1, "error: two lines"),
        (OSError(28, "No space left on device", "/a/b"), 2, "error: /a/b: No space left on device"),
        (OSError("odd"), 2, "error: odd"),
        (KeyboardInterrupt(), 130, "error: interrupted; nothing half-written is left"),
        (MemoryError("too much"), 1, "error: out of memory: too much"),
        (
            ZeroDivisionError("by\nzero"),
            1,
            "error: internal error, please report it: ZeroDivisionError: by zero"
            " (--debug shows where)",
        ),
    ],
)
def test_an_error_gives_one_line(
    error: BaseException, code: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(_failing(error), ["fail"]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err == line + "\n"


def test_debug_adds_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(_failing(InputError(expected="a", got="b")), ["fail", "--debug"]) == 2
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert err.splitlines()[-1] == "error: expected a, got b"


@pytest.mark.parametrize(
    "arguments", [[], ["no-such"], ["fail", "--no-such"], ["fail", "--number", "many"]]
)
def test_a_mistake_in_the_arguments(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(_failing(ValueError()), arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize("code", [ExitCode.DONE, ExitCode.PART])
def test_a_command_may_choose_its_exit_code(code: ExitCode) -> None:
    assert run(_failing(typer.Exit(code)), ["fail"]) == code


def test_termination_unwinds(capsys: pytest.CaptureFixture[str]) -> None:
    app = typer.Typer(add_completion=False)
    cleaned = []

    @app.command()
    def wait() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            threading.Event().wait(10)
        finally:
            cleaned.append(True)

    before = signal.getsignal(signal.SIGTERM)
    assert run(app, []) == 128 + signal.SIGTERM
    assert cleaned == [True]
    assert signal.getsignal(signal.SIGTERM) is before
    assert capsys.readouterr().err == "error: terminated; nothing half-written is left\n"


def test_another_thread_may_run_it() -> None:
    codes = []
    thread = threading.Thread(
        target=lambda: codes.append(run(_failing(typer.Exit(3)), ["fail"])), daemon=True
    )
    thread.start()
    thread.join()
    assert codes == [3]
