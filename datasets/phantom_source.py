"""The phantom as a Source."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Self

from brainforge.block import RawBlock
from brainforge.errors import InputError
from brainforge.info import Info

if TYPE_CHECKING:
    from brainforge.datasets.phantom import Phantom


class PhantomSource:
    """Streams a phantom. Iterating again begins again at sample 0.

    Dropped samples show as a jump of ``start``. Use it inside ``with``.

    Parameters
    ----------
    phantom : Phantom
    block_size : int
        Samples of a block at most.
    realtime : bool
        Wait until a block's last sample would have been taken.
    clock, wait : callable
        What tells the time in seconds and what waits; for tests.
    """

    def __init__(
        self, phantom: Phantom, block_size: int = 1000, *, realtime: bool = False,
        clock: Callable[[], float] = time.monotonic, wait: Callable[[float], None] = time.sleep,
    ) -> None:  # fmt: skip
        if block_size < 1:
            raise InputError(where="block_size", expected="at least 1", got=str(block_size))
        self._phantom, self._block_size = phantom, block_size
        self._realtime, self._clock, self._wait = realtime, clock, wait
        self._open = False

    @property
    def info(self) -> Info:
        """Info of the blocks."""
        return self._phantom.info

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
        blocks = self._phantom.recording().blocks(self._block_size)
        return self._stream(blocks)

    def _stream(self, blocks: Iterator[RawBlock]) -> Iterator[RawBlock]:
        began = self._clock()
        for block in blocks:
            self._check_open()
            if self._realtime:
                due = began + block.stop / self.info.sfreq - self._clock()
                if due > 0:
                    self._wait(due)
            yield block

    def _check_open(self) -> None:
        if not self._open:
            raise InputError(
                where="phantom source", expected="an open source", got="a closed one",
                fix="use it inside `with`",
            )  # fmt: skip
