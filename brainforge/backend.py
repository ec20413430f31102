"""Backend: where the kernels run, how many threads and how much of a device they may use."""

from __future__ import annotations

import os
from dataclasses import dataclass


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(frozen=True)
class Backend:
    """Where kernels run; chosen once per session, by `brainforge.device.choose`.

    Parameters
    ----------
    name : str
        ``"cpu"`` or ``"cuda"``.
    n_threads : int
        Threads that one patient's kernels may use together; 0 means all cores available.
    memory : int
        Bytes of the device that one patient may use; 0 means most of what is free. Less of it
        gives smaller chunks, not other numbers.
    why : str
        Why this one was chosen, in words.
    """

    name: str = "cpu"
    n_threads: int = 0
    memory: int = 0
    why: str = ""

    @property
    def threads(self) -> int:
        """Number of threads to use, at least 1."""
        return self.n_threads or _cores()
