"""Backend: where the kernels run and how many threads they may use."""

from __future__ import annotations

import os
from dataclasses import dataclass


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(frozen=True)
class Backend:
    """Where kernels run.

    Parameters
    ----------
    name : str
        ``"cpu"``; device twins add ``"cuda"``.
    n_threads : int
        Threads that one patient's kernels may use together; 0 means all cores available.
    """

    name: str = "cpu"
    n_threads: int = 0

    @property
    def threads(self) -> int:
        """Number of threads to use, at least 1."""
        return self.n_threads or _cores()
