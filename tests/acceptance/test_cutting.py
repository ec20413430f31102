"""Any way of cutting a stream into blocks gives exactly the same numbers, end to end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Self

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import brainforge as bf
from brainforge.block import RawBlock
from brainforge.info import Info
from brainforge.recording import Recording
from brainforge.result import Result
from tests.equal import assert_equal_results

PHANTOM = dict(n_channels=24, duration=34.0, seed=3, gaps=(12, 300))


@dataclass
class CutSource:
    """A recording handed out in blocks of the given sizes, over and over."""

    recording: Recording
    sizes: tuple[int, ...]

    @property
    def info(self) -> Info:
        return self.recording.info

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: Any) -> None:
        pass

    def __iter__(self) -> Iterator[RawBlock]:
        turn = 0
        for start, stop in self.recording.segments:
            at = start
            while at < stop:
                end = min(at + self.sizes[turn % len(self.sizes)], stop)
                turn += 1
                yield self.recording.read(at, end)
                at = end


@cache
def _recording() -> Recording:
    """Return the phantom held in memory, so that it is simulated once."""
    return bf.datasets.Phantom(**PHANTOM).recording()


@cache
def _whole() -> Result:
    return bf.process(_recording())


@settings(
    max_examples=6, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)  # fmt: skip
@given(st.lists(st.integers(1, 4000), min_size=1, max_size=5).filter(lambda s: sum(s) > 60))
def test_the_whole_result_is_the_same_bit_for_bit(sizes: list[int]) -> None:
    whole = _whole()
    cut = bf.process(CutSource(_recording(), tuple(sizes)))
    assert_equal_results(whole, cut)


def test_a_second_run_gives_the_same_numbers() -> None:
    assert_equal_results(_whole(), bf.process(_recording()))


def test_one_thread_gives_the_same_as_two() -> None:
    from brainforge.backend import Backend

    one = bf.process(_recording(), backend=Backend(n_threads=1))
    np.testing.assert_array_equal(one.spectra.before, _whole().spectra.before)
    np.testing.assert_allclose(one.spectra.after, _whole().spectra.after, rtol=1e-3, atol=1e-6)
