"""The pass that turns a working copy into a few traces: components and reference channels.

Samples at which any used MEG channel is masked are left out of the traces, so no number can
come from them. What is left is kept with the runs that are continuous in time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from brainforge.block import Block
from brainforge.info import Info
from brainforge.kernels.apply import apply_matrix
from brainforge.kernels.gram import gram
from brainforge.kernels.namespace import is_device, namespace, rows_of, to_host
from brainforge.kernels.parallel import parallel_map

Array32 = npt.NDArray[np.float32]
Index = npt.NDArray[np.int64]

#: blocks that threads share out among them
BLOCKS_AT_ONCE = 16

#: told the stage in words and the share of it that is done, 0 to 1
Progress = Callable[[str, float], None]


class Working(Protocol):
    """What is asked of a working copy."""

    info: Info

    @property
    def n_samples(self) -> int:
        """Number of samples kept, gaps not counted."""

    def blocks(self) -> Iterable[Block]:
        """Yield the blocks in order; may be called again."""


@dataclass(frozen=True)
class Traces:
    """Traces on the believed samples.

    Parameters
    ----------
    x : float32 array, axes (trace, column)
        Where the working copy's blocks are; the references too.
    references : dict
        Name of a reference channel -> float32 array, axes (column,), in working units.
    reference_runs : dict
        Name of a reference channel -> runs of columns where it can be believed too.
    runs : int64 array, axes (run, start/stop)
        Columns that are continuous in time.
    starts : int64 array, axes (run,)
        Absolute working sample of each run's first column.
    """

    x: Any
    references: dict[str, Any]
    reference_runs: dict[str, Index]
    runs: Index
    starts: Index

    @property
    def n_columns(self) -> int:
        """Number of believed samples."""
        return int(self.x.shape[1])

    def absolute(self, columns: Index) -> Index:
        """Return absolute working samples of columns."""
        columns = np.asarray(columns, dtype=np.int64)
        run = np.searchsorted(self.runs[:, 0], columns, side="right") - 1
        return self.starts[run] + columns - self.runs[run, 0]

    def columns(self, absolute: Index) -> Index:
        """Return the columns of those absolute working samples that are believed."""
        absolute = np.asarray(absolute, dtype=np.int64)
        run = np.searchsorted(self.starts, absolute, side="right") - 1
        offset = absolute - self.starts[np.maximum(run, 0)]
        inside = (run >= 0) & (offset < np.diff(self.runs, axis=1)[np.maximum(run, 0), 0])
        return (self.runs[run, 0] + offset)[inside]


class _Runs:
    """Collects runs of columns that are continuous in time."""

    def __init__(self) -> None:
        self.columns: list[list[int]] = []
        self.starts: list[int] = []

    def add(self, column: int, absolute: int, length: int) -> None:
        if self.columns:
            start, stop = self.columns[-1]
            if stop == column and self.starts[-1] + stop - start == absolute:
                self.columns[-1][1] += length
                return
        self.columns.append([column, column + length])
        self.starts.append(absolute)


def project(
    working: Working,
    names: tuple[str, ...],
    matrix: npt.NDArray[np.float64],
    *,
    references: tuple[str, ...] = (),
    every: int = 1,
    n_threads: int = 1,
    tell: Progress | None = None,
) -> Traces:
    """Return ``matrix`` times the named channels, over all believed samples.

    Parameters
    ----------
    working : working copy
    names : tuple of str
        Channels that the columns of ``matrix`` stand for.
    matrix : float64 array, axes (trace, channel)
    references : tuple of str
        Channels to carry along as they are.
    every : int
        Take every this-many-th block only, for recordings that are too long to hold.
    n_threads : int
    tell : callable | None
    """
    rows, ref_rows = working.info.rows(names), working.info.rows(references)
    single, n_samples = matrix.astype(np.float32), working.n_samples
    x, refs = _Columns(len(matrix), n_samples), _Columns(len(references), n_samples)
    runs, ref_runs = _Runs(), {name: _Runs() for name in references}
    at, seen = 0, 0

    def one(piece: tuple[int, Any]) -> None:
        column, data = piece
        x.put(column, apply_matrix(single, rows_of(data, rows)))
        if references:
            refs.put(column, rows_of(data, ref_rows))

    numbered = enumerate(working.blocks())
    while group := list(islice(numbered, BLOCKS_AT_ONCE)):
        pieces = []
        for number, block in group:
            seen += block.data.shape[1]
            for lo, hi in () if number % every else stretches(believed(block, names)):
                pieces.append((at, block.data[:, lo:hi]))
                runs.add(at, block.start + lo, hi - lo)
                for name in references:
                    for a, b in stretches(believed(block, (name,))[lo:hi]):
                        ref_runs[name].add(at + a, block.start + lo + a, b - a)
                at += hi - lo
        parallel_map(one, pieces, n_threads)
        if tell:
            tell("artifacts: projecting", seen / max(n_samples, 1))
    shown = refs.all(at)
    return Traces(
        x.all(at),
        {name: shown[i, :] for i, name in enumerate(references)},
        {name: _array(r.columns) for name, r in ref_runs.items()},
        _array(runs.columns),
        np.array(runs.starts, dtype=np.int64),
    )


class _Columns:
    """Columns that come in pieces: written into one host array, or joined on the device."""

    def __init__(self, n_rows: int, n_columns: int) -> None:
        self._host = np.empty((n_rows, n_columns), dtype=np.float32)
        self._parts: dict[int, Any] = {}

    def put(self, at: int, part: Any) -> None:
        if is_device(part):
            self._parts[at] = part
        else:
            self._host[:, at : at + part.shape[1]] = part

    def all(self, n_columns: int) -> Any:
        if not self._parts:
            return self._host[:, :n_columns]
        parts = [self._parts[at] for at in sorted(self._parts)]
        return namespace(parts[0]).concat(parts, axis=1)


def _array(runs: list[list[int]]) -> Index:
    return np.array(runs, dtype=np.int64).reshape(-1, 2)


def believed(block: Block, names: tuple[str, ...]) -> npt.NDArray[np.bool_]:
    """Return the samples at which every named channel can be believed, axes (sample,)."""
    good, known = np.ones(block.data.shape[1], dtype=bool), set(names)
    for mask in block.masks:
        if mask.channels is None or not known.isdisjoint(mask.channels):
            lo, hi = mask.start - block.start, mask.stop - block.start
            good[max(lo, 0) : max(hi, 0)] = False
    return good


def stretches(good: npt.NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """Yield (start, stop) of the stretches that are all True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], good, [False]]).astype(np.int8)))
    for lo, hi in edges.reshape(-1, 2):
        yield int(lo), int(hi)


def mean_products(x: Any) -> npt.NDArray[np.float64]:
    """Return the mean products of traces, axes (trace, trace), on the host."""
    return to_host(gram(x).sums) / max(x.shape[1], 1)


def used_columns(matrix: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Return which input channels a matrix depends on, axes (channel,)."""
    return np.asarray(np.any(matrix != 0, axis=0))


def excerpt(traces: Traces, n_columns: int, n_parts: int = 5) -> Traces:
    """Return at most ``n_columns`` columns in evenly spread stretches; all where that is enough.

    Statistics that need no more than some minutes are computed on it.
    """
    if traces.n_columns <= n_columns:
        return traces
    length = n_columns // n_parts
    begins = np.linspace(0, traces.n_columns - length, n_parts).astype(np.int64)
    keep = np.concatenate([np.arange(b, b + length) for b in begins])
    inside = np.zeros(traces.n_columns, dtype=bool)
    inside[keep] = True
    runs = _picked(traces.runs, keep, inside)
    return Traces(
        _parts(traces.x, begins, length),
        {name: _parts(values, begins, length) for name, values in traces.references.items()},
        {name: _picked(found, keep, inside) for name, found in traces.reference_runs.items()},
        runs,
        traces.absolute(keep[runs[:, 0]]),
    )


def _parts(x: Any, begins: Index, length: int) -> Any:
    """Return stretches of columns one after the other."""
    return namespace(x).concat([x[..., b : b + length] for b in begins.tolist()], axis=-1)


def _picked(runs: Index, keep: Index, inside: npt.NDArray[np.bool_]) -> Index:
    """Return runs in the numbering of the kept columns."""
    out = []
    for start, stop in runs:
        for lo, hi in stretches(inside[start:stop]):
            first = np.searchsorted(keep, start + lo)
            out.append([int(first), int(first) + hi - lo])
    return _array(out)
