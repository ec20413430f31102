"""Write an archive: a Sink of RawBlocks, published whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from brainforge.archive.document import Contents, Segment
from brainforge.archive.durable import refuse_existing, sync, write_durable, writing
from brainforge.archive.layout import LEVEL, Layout, plan
from brainforge.archive.manifest import Entries, digest, write_manifest
from brainforge.archive.shard import encode
from brainforge.block import Mask, RawBlock
from brainforge.errors import InputError
from brainforge.info import Info
from brainforge.recording import Annotation, Event, Gap, Recording

#: shards being compressed at the same time; each holds one shard in memory
IN_FLIGHT = 2


class ArchiveWriter:
    """Sink that stores RawBlocks losslessly in ``NAME.zarr``.

    Everything is written to a hidden folder beside it, which takes the final name in `close`.
    Leaving the context by an exception removes it.

    Parameters
    ----------
    path : path-like
        Must not exist.
    info : Info
        Of the blocks; its channels hold the calibration.
    dtype : dtype-like
        int16, int32, float32 or float64: the source's own.
    start : int | None
        Absolute index at which the recording begins; None for that of the first block.
    source : dict | None
        Where the samples come from, JSON-ready.
    level : int
        Compression level, 1-9.

    Raises
    ------
    OutputError
        Where the output exists or cannot be written.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        info: Info,
        dtype: Any,
        *,
        start: int | None = None,
        source: dict[str, Any] | None = None,
        level: int = LEVEL,
    ) -> None:
        self.path = Path(path)
        self.info, self._start, self._source = info, start, dict(source or {})
        self._layout = plan(info.n_channels, info.sfreq, np.dtype(dtype).name)
        self._level, self._closed = level, False
        self._segments: list[Segment] = []
        self._gaps: list[Gap] = []
        self._masks: dict[Mask, None] = {}  # in the order given, each once
        self._events: list[Event] = []
        self._annotations: list[Annotation] = []
        self._at = start
        self._stored = 0
        self._buffer = self._new_buffer()
        self._entries: Entries = {}
        self._pending: deque[Future[None]] = deque()
        refuse_existing(self.path)
        self._partial = self.path.with_name(f".{self.path.name}.partial-{os.getpid()}")
        with writing(self.path):
            (self._partial / "counts/c/0").mkdir(parents=True)
        self._pool = ThreadPoolExecutor(IN_FLIGHT, thread_name_prefix="archive")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.discard()

    def _new_buffer(self) -> np.ndarray[Any, Any]:
        layout = self._layout
        return np.empty((layout.n_channels, layout.samples), dtype=layout.dtype)

    @property
    def n_stored(self) -> int:
        """Samples taken so far."""
        return self._stored

    def gap(self, start: int, stop: int, cause: str) -> None:
        """Record that the samples [start, stop) were never received, in order with `write`."""
        if self._start is None:
            self._start = self._at = start
        if start != self._at or stop <= start:
            raise InputError(
                where="gap",
                expected=f"an interval from sample {self._at}",
                got=f"[{start}, {stop})",
            )
        self._gaps.append(Gap(start, stop, cause))
        self._at = stop

    def write(self, block: RawBlock) -> None:
        """Take one block; a jump of its ``start`` is recorded as a gap."""
        if self._start is None or self._at is None:
            self._start = self._at = block.start
        self._check(block)
        if block.start > self._at:
            self.gap(self._at, block.start, "not received")
        self._masks.update(dict.fromkeys(block.masks))
        data = block.data
        if block.info.names != self.info.names:
            data = data[block.info.rows(self.info.names)]
        self._note(block.start, block.stop)
        done = 0
        while done < data.shape[1]:
            at = self._stored % self._layout.samples
            n = min(self._layout.samples - at, data.shape[1] - done)
            self._buffer[:, at : at + n] = data[:, done : done + n]
            done += n
            self._stored += n
            if at + n == self._layout.samples:
                self._seal(self._buffer)
                self._buffer = self._new_buffer()

    def _check(self, block: RawBlock) -> None:
        expected = got = ""
        if block.data.dtype.newbyteorder("=") != np.dtype(self._layout.dtype):
            expected, got = f"counts of dtype {self._layout.dtype}", str(block.data.dtype)
        elif set(block.info.names) != set(self.info.names):
            expected, got = "the channels of the first block", "others"
        elif self._at is not None and block.start < self._at:
            expected, got = f"samples from {self._at} on", f"a block that starts at {block.start}"
        elif self._closed:
            expected, got = "an open archive", "a block after close"
        if got:
            raise InputError(where="block", expected=expected, got=got)

    def _note(self, start: int, stop: int) -> None:
        if stop == start:
            return
        last = self._segments[-1] if self._segments else None
        if last is not None and last.stop == start:
            self._segments[-1] = replace(last, stop=stop)
        else:
            self._segments.append(Segment(start, stop, self._stored))
        self._at = stop

    def _seal(self, counts: np.ndarray[Any, Any]) -> None:
        shard = (self._stored - 1) // self._layout.samples
        self._pending.append(self._pool.submit(self._store, counts, shard))
        while len(self._pending) > IN_FLIGHT:
            self._collect()

    def _collect(self) -> None:
        with writing(self.path):
            self._pending.popleft().result()

    def _store(self, counts: np.ndarray[Any, Any], shard: int) -> None:
        data = encode(counts, self._layout, self._level)
        name = self._layout.key(shard)
        write_durable(self._partial / name, data)
        self._entries[name] = (len(data), digest(data))

    def add(
        self,
        *,
        events: Iterable[Event] = (),
        annotations: Iterable[Annotation] = (),
        masks: Iterable[Mask] = (),
    ) -> None:
        """Add events, annotations and masks, in absolute source samples."""
        self._events.extend(events)
        self._annotations.extend(annotations)
        self._masks.update(dict.fromkeys(masks))

    def close(self) -> None:
        """Write what is left, then the metadata, and publish the archive under its name."""
        if self._closed:
            return
        try:
            self._finish()
        except BaseException:
            self.discard()
            raise
        self._closed = True

    def _finish(self) -> None:
        if not self._stored or self._start is None or self._at is None:
            raise InputError(where=str(self.path), expected="samples to store", got="none")
        rest = self._stored % self._layout.samples
        if rest:
            self._seal(self._buffer[:, :rest])
        while self._pending:
            self._collect()
        self._pool.shutdown()
        contents = Contents(
            self.info,
            self._start,
            self._at,
            tuple(self._segments),
            tuple(self._gaps),
            tuple(sorted(self._events, key=lambda e: e.sample)),
            tuple(sorted(self._annotations, key=lambda a: a.start)),
            tuple(self._masks),
            self._source,
        )
        layout: Layout = replace(self._layout, n_samples=self._stored)
        with writing(self.path):
            describe(self._partial, contents, layout, self._entries, self._level)
            refuse_existing(self.path)
            os.rename(self._partial, self.path)
            sync(self.path.parent)

    def discard(self) -> None:
        """Stop and remove everything written so far."""
        if self._closed:
            return
        self._closed = True
        self._pool.shutdown(wait=True, cancel_futures=True)
        shutil.rmtree(self._partial, ignore_errors=True)


def describe(
    root: Path, contents: Contents, layout: Layout, shards: Entries, level: int = LEVEL
) -> None:
    """Write all that an archive says besides its shards, durably; the manifest comes last.

    Parameters
    ----------
    shards : dict
        Size and SHA-256 of every shard, taken when it was written.
    """
    # here, not above: zarr is needed once, at the end
    from brainforge.archive.metadata import write_metadata

    write_metadata(root, contents, layout, level)
    write_manifest(root, shards)


def import_recording(
    recording: Recording,
    path: str | os.PathLike[str],
    progress: Callable[[int, int], None] | None = None,
    *,
    level: int = LEVEL,
) -> Path:
    """Store a recording losslessly as an archive and return its path.

    Parameters
    ----------
    recording : Recording
    path : path-like
        Must not exist.
    progress : callable | None
        Called with the source samples done and their total, about every 10 s of signal.
    """
    first, _ = recording.segments[0]
    dtype = recording.reader.read(first, first + 1).dtype.newbyteorder("=")
    size = plan(recording.info.n_channels, recording.info.sfreq, dtype.name).samples
    gaps = {g.start: g for g in recording.gaps}
    writer = ArchiveWriter(
        path,
        recording.info,
        dtype,
        start=recording.start,
        source=recording.source,
        level=level,
    )
    with writer:
        if recording.start in gaps:
            writer.gap(recording.start, gaps[recording.start].stop, gaps[recording.start].cause)
        for block in recording.blocks(size):
            writer.write(block)
            if block.stop in gaps:
                writer.gap(block.stop, gaps[block.stop].stop, gaps[block.stop].cause)
            if progress is not None:
                progress(block.stop - recording.start, recording.n_samples)
        writer.add(
            events=recording.events, annotations=recording.annotations, masks=recording.masks
        )
    return writer.path
