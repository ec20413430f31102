"""Wall-clock and CPU seconds of calls that take turns, so that a busy machine slows all alike."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any

#: a call whose warm-up takes longer than this many seconds is not repeated; the warm-up counts
SLOW_S = 12.0


@dataclass
class Timing:
    """Seconds of the repeats of one call; ``cpu_s`` are those of all threads of the process."""

    walls: list[float] = field(default_factory=list)
    cpus: list[float] = field(default_factory=list)

    @property
    def wall_s(self) -> float:
        return median(self.walls)

    @property
    def cpu_s(self) -> float:
        return median(self.cpus)

    def to_dict(self) -> dict[str, Any]:
        return {"wall_s": self.wall_s, "cpu_s": self.cpu_s, "walls_s": self.walls}


@dataclass
class Timed:
    """Timings of every call and what each returned last."""

    timings: dict[str, Timing]
    results: dict[str, Any]


def take_turns(
    calls: Mapping[str, Callable[[], Any]],
    repeats: int,
    *,
    slow_s: float = SLOW_S,
    always: frozenset[str] = frozenset(),
) -> Timed:
    """Warm every call up, then run all of them in turn ``repeats`` times.

    Parameters
    ----------
    calls : mapping of str to callable
    repeats : int
        Of each call after its warm-up.
    slow_s : float
        A call whose warm-up takes longer is not repeated.
    always : frozenset of str
        Calls that are repeated however long they take.
    """
    timed = Timed({name: Timing() for name in calls}, {})
    warm: dict[str, Timing] = {name: Timing() for name in calls}
    for name, call in calls.items():
        _time(name, call, warm[name], timed.results)
    todo = [n for n in calls if n in always or warm[n].walls[0] <= slow_s]
    for name in calls:
        if name not in todo:
            timed.timings[name] = warm[name]
    for turn in range(repeats):
        # another one begins every time: whoever follows a heavy call meets its cold caches
        for i in range(len(todo)):
            name = todo[(i + turn) % len(todo)]
            _time(name, calls[name], timed.timings[name], timed.results)
    return timed


def _time(name: str, call: Callable[[], Any], timing: Timing, results: dict[str, Any]) -> None:
    results.pop(name, None)
    # as timeit does: whose turn the collector comes in is chance
    gc.disable()
    try:
        cpu, wall = time.process_time(), time.perf_counter()
        result = call()
        timing.walls.append(time.perf_counter() - wall)
        timing.cpus.append(time.process_time() - cpu)
    finally:
        gc.enable()
    results[name] = result
