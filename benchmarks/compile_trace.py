"""What compiles in a process that works on the bundled recording, and how long: a child process.

``python -m benchmarks.compile_trace`` prints JSON: seconds by kernel, calls into Numba's library
included in the kernel that needs them.
"""

from __future__ import annotations

import json
import time
from typing import Any


def trace() -> dict[str, float]:
    """Process the bundled recording; return seconds of CPU that compilation takes, by kernel."""
    from numba.core import event

    seconds: dict[str, float] = {}
    open_since: list[tuple[str, float]] = []

    class Listener(event.Listener):
        def on_start(self, event: Any) -> None:
            function = event.data["dispatcher"].py_func
            open_since.append((f"{function.__module__}.{function.__name__}", time.thread_time()))

        def on_end(self, event: Any) -> None:
            name, begun = open_since.pop()
            # what compiles inside another counts there
            if not open_since:
                seconds[name] = seconds.get(name, 0.0) + time.thread_time() - begun

    with event.install_listener("numba:compile", Listener()):
        import brainforge as bf

        bf.process(bf.datasets.sample())
    return dict(sorted(seconds.items(), key=lambda item: -item[1]))


if __name__ == "__main__":
    print(json.dumps(trace()))
