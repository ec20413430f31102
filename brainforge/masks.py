"""Interval arithmetic on masks: one normal form, so that equal masks compare equal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.block import Block, Cause, Mask, RawBlock

_Key = tuple[tuple[str, ...] | None, Cause]


def normal_masks(masks: Iterable[Mask], start: int, stop: int) -> tuple[Mask, ...]:
    """Return masks cut to [start, stop), those that touch joined, sorted by start.

    Only masks of the same channels and cause are joined.
    """
    found: dict[_Key, list[tuple[int, int]]] = {}
    for mask in masks:
        lo, hi = max(mask.start, start), min(mask.stop, stop)
        if lo < hi:
            found.setdefault((mask.channels, mask.cause), []).append((lo, hi))
    out: list[Mask] = []
    for (channels, cause), intervals in found.items():
        intervals.sort()
        lo, hi = intervals[0]
        for a, b in intervals[1:]:
            if a > hi:
                out.append(Mask(channels, lo, hi, cause))
                lo, hi = a, b
            else:
                hi = max(hi, b)
        out.append(Mask(channels, lo, hi, cause))
    return tuple(sorted(out, key=lambda m: (m.start, m.stop, m.cause, m.channels or ())))


def true_runs(flags: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return the runs of True in a vector, as (start, stop)."""
    edges = np.flatnonzero(np.diff(flags.astype(np.int8), prepend=0, append=0))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2])]


def masks_to_state(masks: Iterable[Mask]) -> list[list[Any]]:
    """Return masks as JSON-ready lists."""
    return [
        [None if m.channels is None else list(m.channels), m.start, m.stop, m.cause.value]
        for m in masks
    ]


def masks_from_state(state: Iterable[list[Any]]) -> tuple[Mask, ...]:
    """Return the masks that `masks_to_state` wrote."""
    return tuple(
        Mask(None if names is None else tuple(names), int(a), int(b), Cause(cause))
        for names, a, b, cause in state
    )


def bad_samples(
    block: RawBlock | Block, channels: Mapping[str, int]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
    """Return the channels that masks touch and which of their samples.

    Parameters
    ----------
    block : RawBlock | Block
    channels : mapping
        Positions of the channels that count, by name.

    Returns
    -------
    touched : int array, axes (touched channel,)
        Positions, ascending.
    bad : bool array, axes (touched channel, sample)
    """
    hits = []
    for mask in block.masks:
        lo, hi = max(mask.start - block.start, 0), min(mask.stop, block.stop) - block.start
        names = channels if mask.channels is None else mask.channels
        at = [channels[n] for n in names if n in channels]
        if at and lo < hi:
            hits.append((at, lo, hi))
    touched = np.array(sorted({i for at, _, _ in hits for i in at}), dtype=np.intp)
    bad = np.zeros((len(touched), block.data.shape[1]), dtype=bool)
    for at, lo, hi in hits:
        bad[np.searchsorted(touched, at), lo:hi] = True
    return touched, bad
