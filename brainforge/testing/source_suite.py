"""What every Source has to keep to, as tests to inherit.

Write a class named ``Test...`` that inherits `SourceSuite` and gives it `make`; pytest collects
the rest. A source that plays something new every time (a live one) sets ``restarts = False``.
"""

from __future__ import annotations

import tracemalloc
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from brainforge.block import RawBlock
from brainforge.errors import BrainForgeError
from brainforge.flow import Source


def collect(source: Source) -> list[RawBlock]:
    """Return all blocks of a source that is not open yet."""
    with source:
        return list(source)


def joined(blocks: list[RawBlock]) -> list[tuple[int, npt.NDArray[Any]]]:
    """Join blocks that follow each other; return (start, samples) of every stretch."""
    stretches: list[tuple[int, list[npt.NDArray[Any]]]] = []
    at: int | None = None
    for block in blocks:
        if block.start != at:
            stretches.append((block.start, []))
        stretches[-1][1].append(block.data)
        at = block.stop
    return [(start, np.concatenate(parts, axis=1)) for start, parts in stretches]


class SourceSuite:
    """Tests that a source inherits. All methods may be called by pytest without fixtures."""

    #: block sizes to try; the first is the reference
    block_sizes: ClassVar[tuple[int, ...]] = (1000, 1, 97, 4096)
    #: whether a second iteration begins again at the first sample
    restarts: ClassVar[bool] = True
    #: the gaps that must show, as (start, stop) in absolute samples; None where unknown
    gaps: ClassVar[tuple[tuple[int, int], ...] | None] = None

    def make(self, block_size: int) -> Source:
        """Return a fresh source of a few seconds, giving at most ``block_size`` samples."""
        raise NotImplementedError("a suite needs its source")

    def make_long(self, block_size: int) -> Source:
        """Return a source long enough to show memory that grows; defaults to `make`."""
        return self.make(block_size)

    def test_is_a_source(self) -> None:
        """It has what the protocol asks for."""
        assert isinstance(self.make(self.block_sizes[0]), Source)

    def test_blocks_come_in_order(self) -> None:
        """Starts never go back, blocks never overlap, none is empty or too large."""
        for size in self.block_sizes[:3:2]:
            at = 0
            for block in collect(self.make(size)):
                assert block.start >= at, f"block at {block.start} after {at}"
                assert 0 < block.data.shape[1] <= size, block.data.shape
                at = block.stop

    def test_blocks_keep_info_and_dtype(self) -> None:
        """Channels, rate and dtype never change, and are those the source told at first."""
        with self.make(self.block_sizes[0]) as source:
            info = source.info
            dtypes = set()
            for block in source:
                assert block.info == info
                assert block.data.shape[0] == info.n_channels
                dtypes.add(block.data.dtype)
        assert len(dtypes) == 1, dtypes

    def test_blocks_are_read_only(self) -> None:
        """Nobody can change what another one will read."""
        for block in collect(self.make(self.block_sizes[0])):
            assert not block.data.flags.writeable

    def test_any_block_size_gives_the_same_samples(self) -> None:
        """However it is cut: the same stretches, the same samples, bit for bit."""
        expected = joined(collect(self.make(self.block_sizes[0])))
        assert expected, "the source gave nothing"
        for size in self.block_sizes[1:]:
            got = joined(collect(self.make(size)))
            assert [s for s, _ in got] == [s for s, _ in expected], f"block size {size}"
            for (_, one), (_, other) in zip(got, expected, strict=True):
                assert np.array_equal(one, other, equal_nan=one.dtype.kind == "f"), size

    def test_gaps_are_jumps(self) -> None:
        """A gap is a jump of ``start``, exactly as long as what is missing."""
        stretches = joined(collect(self.make(self.block_sizes[0])))
        ends = [start + data.shape[1] for start, data in stretches]
        jumps = tuple(
            (end, start) for end, (start, _) in zip(ends[:-1], stretches[1:], strict=True)
        )
        assert all(start > end for end, start in jumps)
        if self.gaps is not None:
            assert jumps == self.gaps

    def test_memory_is_bounded(self) -> None:
        """The second half of a long stream takes no more memory than the first."""
        with self.make_long(self.block_sizes[0]) as source:
            total = sum(block.data.shape[1] for block in source)
        with self.make_long(self.block_sizes[0]) as source:
            tracemalloc.start()
            try:
                seen, early = 0, None
                for block in source:
                    seen += block.data.shape[1]
                    if early is None and seen * 2 >= total:
                        early = tracemalloc.get_traced_memory()[1]
                        tracemalloc.reset_peak()
                late = tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()
        assert early is not None
        assert late <= 1.25 * early + 2**20, f"{early} bytes, then {late}"

    def test_leaving_closes(self) -> None:
        """Outside ``with`` nothing can be read, and errors inside come through."""
        source = self.make(self.block_sizes[0])
        _refuses(source)
        with source:
            running = iter(source)
            next(running)
        _refuses(source)
        _refuses(running)
        try:
            with self.make(self.block_sizes[0]):
                raise KeyError("mine")
        except KeyError:
            return
        raise AssertionError("the error raised inside `with` was swallowed")

    def test_second_iteration(self) -> None:
        """It begins again where ``restarts`` says so, and goes on or ends where not."""
        with self.make(self.block_sizes[0]) as source:
            first, second = joined(list(source)), joined(list(source))
        if not self.restarts:
            assert all(start >= first[-1][0] + first[-1][1].shape[1] for start, _ in second)
            return
        assert [s for s, _ in first] == [s for s, _ in second]
        for (_, one), (_, other) in zip(first, second, strict=True):
            assert np.array_equal(one, other, equal_nan=one.dtype.kind == "f")


def _refuses(blocks: Any) -> None:
    try:
        next(iter(blocks))
    except (BrainForgeError, StopIteration):
        return
    raise AssertionError("a closed source still gave a block")
