"""Replay: any Recording as a Source, as fast as it can be read or at its own pace."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self

from brainforge.block import RawBlock
from brainforge.errors import InputError
from brainforge.info import Info
from brainforge.recording import Recording


class RecordingSource:
    """Streams a Recording in order. Iterating again begins again at its first sample.

    Gaps show as a jump of ``start``. Nothing is held but the block on its way. Use it inside
    ``with``.

    Parameters
    ----------
    recording : Recording
    block_size : int
        Samples of a block at most; blocks end at multiples of it, before a gap and at the end.
    realtime : bool
        Hand out every block no earlier than its last sample would have been taken, counted
        from the start of the iteration.
    clock, wait : callable
        What tells the time in seconds and what waits that long; for tests.

    Raises
    ------
    InputError
        Where ``block_size`` is below 1, or the source is iterated while it is not open.
    """

    def __init__(
        self,
        recording: Recording,
        block_size: int = 1000,
        *,
        realtime: bool = False,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        if block_size < 1:
            raise InputError(where="block_size", expected="at least 1 sample", got=str(block_size))
        self.recording, self._block_size = recording, block_size
        self._realtime, self._clock, self._wait = realtime, clock, wait
        self._open = False

    @property
    def info(self) -> Info:
        """Info of the blocks."""
        return self.recording.info

    def __enter__(self) -> Self:
        self._open = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open = False

    def __iter__(self) -> Iterator[RawBlock]:
        self._check_open()
        return self._stream()

    def _stream(self) -> Iterator[RawBlock]:
        began = self._clock()
        for block in self.recording.blocks(self._block_size):
            if self._realtime:
                taken = (block.stop - self.recording.start) / self.info.sfreq
                due = began + taken - self._clock()
                if due > 0:
                    self._wait(due)
            self._check_open()
            yield block

    def _check_open(self) -> None:
        if not self._open:
            raise InputError(
                where="source", expected="an open source", got="a closed one",
                fix="iterate it inside `with`",
            )  # fmt: skip
