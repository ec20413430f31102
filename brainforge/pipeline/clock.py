"""Timings by stage, and progress told to whoever asked for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

#: told the stage in words and the share of it that is done, 0 to 1
Progress = Callable[[str, float], None]


def silent(stage: str, share: float) -> None:
    """Tell nobody."""


class Clock:
    """Adds up wall-clock seconds by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Time what happens inside the ``with`` block and add it to ``stage``."""
        begun = time.perf_counter()
        try:
            yield
        finally:
            self.add(stage, time.perf_counter() - begun)

    def add(self, stage: str, seconds: float) -> None:
        """Add seconds measured elsewhere."""
        self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds
