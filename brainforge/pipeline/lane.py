"""Lane: a thread of its own for one part of a pass, fed in order, never far behind.

Most kernels run on all threads that a patient has, but between them lies Python that runs on
one. With the parts of a pass in lanes of their own, one lane's kernels fill the cores while
another lane prepares its next. The order within a lane is the order of feeding, so the numbers
are those of a single thread.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self

#: pieces of work that may wait: enough to keep a lane busy, little enough for the memory
BACKLOG = 2


class Lane:
    """Runs calls one after the other in a thread of its own.

    An error of a call is raised by the next `put` or by `drain`; calls behind it do not run.
    """

    def __init__(self, name: str) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._waiting: deque[Future[None]] = deque()
        self._failed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def put(self, call: Callable[..., None], *args: Any) -> None:
        """Queue a call; waits where too many are queued."""
        while len(self._waiting) >= BACKLOG:
            self._waiting.popleft().result()
        self._waiting.append(self._pool.submit(self._run, call, args))

    def drain(self) -> None:
        """Wait until all calls are done."""
        while self._waiting:
            self._waiting.popleft().result()

    def close(self) -> None:
        """Let go of the thread; what is queued and has not begun is not run."""
        self._failed = True
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._waiting.clear()

    def _run(self, call: Callable[..., None], args: tuple[Any, ...]) -> None:
        if self._failed:
            return
        try:
            call(*args)
        except BaseException:
            self._failed = True
            raise
