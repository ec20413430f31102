"""The command line: one file per command; `main` is the entry point."""

from __future__ import annotations

from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``brainforge`` and return its exit code.

    Parameters
    ----------
    arguments : sequence of str | None
        What follows the program's name; None takes them from the process.
    """
    import sys

    from brainforge.cli.app import app
    from brainforge.cli.run import run

    return run(app, list(sys.argv[1:] if arguments is None else arguments))


__all__ = ["main"]
