"""Lane: a thread of its own for one part of a pass, fed in order, never far behind.

Most kernels run on all threads that a patient has, but between them lies Python that runs on
one. With the parts of a pass in lanes of their own, one lane's kernels fill the cores while
another lane prepares its next. The order within a lane is the order of feeding, so the numbers
are those of a single thread. A gate that lanes share keeps those that run at a time to the
threads that the patient has.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from threading import Semaphore
from types import TracebackType
from typing import Any, Self

from brainforge.backend import Backend

#: pieces of work that may wait: enough to keep a lane busy, little enough for the memory
BACKLOG = 2


#: lanes that can have work at a time, the thread that feeds them and the reader included
LANES = 4


class Gate:
    """Lets so many lanes work at a time that their kernels' threads are never too many.

    Attributes
    ----------
    backend : Backend
        For the kernels of one lane: its share of the threads.
    """

    def __init__(self, backend: Backend) -> None:
        at_a_time = min(LANES, backend.threads)
        self.backend = replace(backend, n_threads=backend.threads // at_a_time)
        self._permits = Semaphore(at_a_time)

    def __enter__(self) -> None:
        self._permits.acquire()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._permits.release()


class Lane:
    """Runs calls one after the other in a thread of its own.

    An error of a call is raised by the next `put` or by `drain`; calls behind it do not run.

    Parameters
    ----------
    name : str
    gate : Gate | None
        Passed by each call; what takes its results on stands outside, so that no lane waits for
        another inside.
    """

    def __init__(self, name: str, gate: Gate | None = None) -> None:
        self._gate: AbstractContextManager[None] = gate or nullcontext()
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

    def put(
        self, call: Callable[..., Any], *args: Any, then: Callable[[Any], None] | None = None
    ) -> None:
        """Queue a call; waits where too many are queued.

        ``then`` takes each item of what the call returns.
        """
        while len(self._waiting) >= BACKLOG:
            self._waiting.popleft().result()
        self._waiting.append(self._pool.submit(self._run, call, args, then))

    def drain(self) -> None:
        """Wait until all calls are done."""
        while self._waiting:
            self._waiting.popleft().result()

    def close(self) -> None:
        """Let go of the thread; what is queued and has not begun is not run."""
        self._failed = True
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._waiting.clear()

    def _run(
        self,
        call: Callable[..., Any],
        args: tuple[Any, ...],
        then: Callable[[Any], None] | None,
    ) -> None:
        if self._failed:
            return
        try:
            with self._gate:
                items: Iterable[Any] = call(*args)
            if then is not None:
                for item in items:
                    then(item)
        except BaseException:
            self._failed = True
            raise
