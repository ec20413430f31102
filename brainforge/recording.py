"""Recording: a lazy sequence of RawBlocks with one Info."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from brainforge.block import Cause, Mask, RawBlock
from brainforge.errors import InputError
from brainforge.info import Info


class SampleReader(Protocol):
    """Gives samples in the source's own dtype; the one thing a file format has to provide."""

    def read(self, start: int, stop: int) -> npt.NDArray[Any]:
        """Return samples [start, stop) relative to absolute indices, axes (channel, sample)."""


@dataclass(frozen=True)
class Event:
    """A trigger: absolute source sample, code, and the channel it came from."""

    sample: int
    code: int
    channel: str = ""


@dataclass(frozen=True)
class Annotation:
    """A labelled interval in absolute source samples, stop exclusive."""

    start: int
    stop: int
    label: str


@dataclass(frozen=True)
class Gap:
    """Samples that were never received: [start, stop) in absolute source samples."""

    start: int
    stop: int
    cause: str


@dataclass(frozen=True)
class Recording:
    """A recording that can be read in any order and is never held whole in memory.

    Parameters
    ----------
    info : Info
    reader : SampleReader
    start, stop : int
        Absolute source sample indices covered, stop exclusive. ``start`` need not be 0.
    gaps : tuple of Gap
        Sorted, disjoint, inside [start, stop).
    events, annotations : tuple
    source : dict
        Where it came from: path, format, sha256, notes (JSON-ready).
    """

    info: Info
    reader: SampleReader
    start: int
    stop: int
    gaps: tuple[Gap, ...] = ()
    events: tuple[Event, ...] = ()
    annotations: tuple[Annotation, ...] = ()
    masks: tuple[Mask, ...] = ()
    source: dict[str, Any] = field(default_factory=dict)

    @property
    def n_samples(self) -> int:
        """Length on the time axis in source samples, gaps included."""
        return self.stop - self.start

    @property
    def duration(self) -> float:
        """Length in seconds, gaps included."""
        return self.n_samples / self.info.sfreq

    @property
    def segments(self) -> tuple[tuple[int, int], ...]:
        """The stretches that hold samples, as (start, stop)."""
        out, at = [], self.start
        for gap in self.gaps:
            if gap.start > at:
                out.append((at, gap.start))
            at = max(at, gap.stop)
        if at < self.stop:
            out.append((at, self.stop))
        return tuple(out)

    def read(self, start: int, stop: int) -> RawBlock:
        """Return the samples [start, stop), which must not touch a gap."""
        if not any(a <= start and stop <= b for a, b in self.segments):
            raise InputError(
                where="recording",
                expected=f"a stretch inside one of {self.segments[:4]}",
                got=f"[{start}, {stop})",
            )
        masks = tuple(m for m in self.masks if m.start < stop and m.stop > start)
        return RawBlock(self.reader.read(start, stop), self.info, start, masks)

    def blocks(self, size: int) -> Iterator[RawBlock]:
        """Yield all samples in order, at most ``size`` at a time, never across a gap.

        Blocks end at multiples of ``size``, so that they line up with an archive's chunks.
        """
        for a, b in self.segments:
            at = a
            while at < b:
                end = min(b, (at // size + 1) * size)
                yield self.read(at, end)
                at = end

    def crop(self, start: int, stop: int) -> Recording:
        """Return the part [start, stop) in absolute source samples; indices stay as they are."""
        from dataclasses import replace

        start, stop = max(start, self.start), min(stop, self.stop)
        if start >= stop:
            raise InputError(where="crop", expected="a part of the recording", got="nothing of it")
        gaps = tuple(
            Gap(max(g.start, start), min(g.stop, stop), g.cause)
            for g in self.gaps
            if g.start < stop and g.stop > start
        )
        events = tuple(e for e in self.events if start <= e.sample < stop)
        notes = tuple(n for n in self.annotations if n.start < stop and n.stop > start)
        return replace(self, start=start, stop=stop, gaps=gaps, events=events, annotations=notes)


@dataclass(frozen=True)
class ArrayReader:
    """Samples held in memory; ``data`` has axes (channel, sample) and begins at ``first``."""

    data: npt.NDArray[Any]
    first: int = 0

    def read(self, start: int, stop: int) -> npt.NDArray[Any]:
        """Return a view of the samples [start, stop)."""
        return self.data[:, start - self.first : stop - self.first]


def recording_from_array(
    data: npt.NDArray[Any], info: Info, start: int = 0, **fields: Any
) -> Recording:
    """Make a Recording of an array, axes (channel, sample), in counts as ``info`` calibrates."""
    if data.ndim != 2 or data.shape[0] != info.n_channels:
        raise InputError(
            where="data", expected=f"{info.n_channels} channels x samples", got=f"{data.shape}"
        )
    return Recording(
        info, ArrayReader(np.asarray(data), start), start, start + data.shape[1], **fields
    )


__all__ = [
    "Annotation",
    "ArrayReader",
    "Cause",
    "Event",
    "Gap",
    "Mask",
    "Recording",
    "SampleReader",
    "recording_from_array",
]
