"""Progress on standard error: a bar on a terminal, plain lines elsewhere, or nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

#: told the stage in words and the share of it that is done, 0 to 1
Tell = Callable[[str, float], None]


@contextmanager
def progress(quiet: bool = False) -> Iterator[Tell]:
    """Give a function that shows how far the work is; what fits the place it is shown in."""
    if quiet:
        yield lambda stage, share: None
    elif sys.stderr.isatty():
        with _bars() as tell:
            yield tell
    else:
        yield _lines()


def counted(tell: Tell, stage: str) -> Callable[[int, int], None]:
    """Return a function of (done, total) that tells one stage's share."""
    return lambda done, total: tell(stage, done / total if total else 1.0)


def _lines() -> Tell:
    """Say when a stage begins and when it has ended, one line each."""
    begun: list[str] = []
    ended: set[str] = set()

    def end(stage: str) -> None:
        if stage not in ended:
            ended.add(stage)
            print(f"{stage}: done", file=sys.stderr, flush=True)

    def tell(stage: str, share: float) -> None:
        if stage not in begun:
            # the length of a stream is not known, so only the next stage says that one ended
            for earlier in begun:
                end(earlier)
            begun.append(stage)
            if share < 1:
                print(f"{stage} ...", file=sys.stderr, flush=True)
        if share >= 1:
            end(stage)

    return tell


@contextmanager
def _bars() -> Iterator[Tell]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn
    from rich.progress import TimeElapsedColumn as Elapsed

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), Elapsed())
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=Console(stderr=True)) as bars:

        def tell(stage: str, share: float) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=1.0)
            bars.update(tasks[stage], completed=min(max(share, 0.0), 1.0))

        yield tell
