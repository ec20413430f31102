"""Piece: samples in their place as a live source hands them out, none longer than asked for."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from brainforge.acquisition.notice import Notice
from brainforge.acquisition.sequence import Item, Placed
from brainforge.block import RawBlock
from brainforge.info import Info
from brainforge.recording import Event


@dataclass(frozen=True, slots=True)
class Piece:
    """Samples in their place.

    Parameters
    ----------
    block : RawBlock
        Its data may be a transposed view.
    counter : int
        The device's number of the first sample, unwrapped; -1 where it has none.
    arrival : float
        `time.monotonic` when the last of them came.
    stamp : float
        `time.monotonic` at which the last sample was taken, by the source's clock; NaN where
        unknown.
    """

    block: RawBlock
    counter: int
    arrival: float
    stamp: float


def pieces(items: Iterable[Item], info: Info, most: int) -> Iterator[Piece | Notice | Event]:
    """Cut what was placed to at most ``most`` samples, and join what is shorter and came together.

    Notices and events stay where they are.
    """
    waiting: list[Placed] = []
    n = 0
    for item in items:
        if isinstance(item, Placed):
            joins = waiting and _goes_on(waiting[-1], item) and n + len(item.data) <= most
            if waiting and not joins:
                yield from _cut(waiting, info, most)
                waiting, n = [], 0
            waiting.append(item)
            n += len(item.data)
            continue
        if waiting:
            yield from _cut(waiting, info, most)
            waiting, n = [], 0
        yield item
    if waiting:
        yield from _cut(waiting, info, most)


def _goes_on(one: Placed, other: Placed) -> bool:
    """Whether the other follows, by its place and by its counter."""
    by_counter = one.counter < 0 or one.counter + len(one.data) == other.counter
    return one.stop == other.start and by_counter


def _cut(parts: list[Placed], info: Info, most: int) -> Iterator[Piece]:
    first, last = parts[0], parts[-1]
    data = first.data if len(parts) == 1 else np.concatenate([part.data for part in parts])
    n = len(data)
    for a in range(0, n, most):
        b = min(a + most, n)
        stamp = math.nan if last.stamps is None else float(last.stamps[-1]) - (n - b) / info.sfreq
        counter = first.counter + a if first.counter >= 0 else -1
        yield Piece(RawBlock(data[a:b].T, info, first.start + a), counter, last.arrival, stamp)
