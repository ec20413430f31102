"""One light look at raw samples: extremes, sums, differences, railed, flat, non-finite.

It works on counts in the source's own dtype at the full rate, before anything is filtered.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.errors import KernelInputError
from brainforge.kernels.dispatch import kernel
from brainforge.kernels.namespace import dtype_name, is_device, to_host
from brainforge.kernels.parallel import parallel_map, slices
from brainforge.kernels.raw_scan import COLUMNS, COUNT_NON_FINITE, DTYPES, FLAT_RUNS, SCAN

#: consecutive equal samples at an extreme that count as railed where the rails are unknown
RAIL_RUN = 3
#: and how many of those, and how many times the next value's samples, a block must hold
RAIL_MIN, RAIL_PILE = 8, 4

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
#: stretches of finite samples, and what was found in each of them
Found = tuple[Ints, dict[str, Floats]]


@dataclass(frozen=True)
class RawStatistics:
    """Statistics of raw samples in counts; every array has axes (channel,).

    Parameters
    ----------
    n : int64 array
        Finite samples looked at.
    lowest, highest : float64 array
        Extremes; infinite where there is no sample.
    total : float64 array
        Sum of the samples.
    n_diff : int64 array
        Differences between neighbouring samples.
    diff_squares : float64 array
        Sum of their squares: a measure of the noise near the Nyquist frequency.
    railed : int64 array
        Samples at a rail.
    flat_run : int64 array
        Longest run of equal samples.
    non_finite : int64 array
        NaN and infinite samples.
    """

    n: Ints
    lowest: Floats
    highest: Floats
    total: Floats
    n_diff: Ints
    diff_squares: Floats
    railed: Ints
    flat_run: Ints
    non_finite: Ints

    @classmethod
    def empty(cls, n_channels: int) -> RawStatistics:
        """Return the statistics of no samples."""
        zero = np.zeros(n_channels, dtype=np.int64)
        real = np.zeros(n_channels)
        low, high = np.full(n_channels, np.inf), np.full(n_channels, -np.inf)
        return cls(zero, low, high, real, zero, real, zero, zero, zero)

    def merge(self, other: RawStatistics) -> RawStatistics:
        """Return the statistics of both parts; a flat run across the cut counts as two."""
        joined = {
            f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(RawStatistics)
        }
        joined["lowest"] = np.minimum(self.lowest, other.lowest)
        joined["highest"] = np.maximum(self.highest, other.highest)
        joined["flat_run"] = np.maximum(self.flat_run, other.flat_run)
        return RawStatistics(**joined)

    def difference_rms(self) -> Floats:
        """Return the RMS of the differences between neighbouring samples, in counts."""
        return np.sqrt(self.diff_squares / np.maximum(self.n_diff, 1))

    def mean(self) -> Floats:
        """Return the mean in counts; NaN where there is no sample."""
        empty = np.full(self.n.shape, np.nan)
        return np.divide(self.total, self.n, out=empty, where=self.n > 0)


@kernel(device="brainforge.kernels.device.raw_scan:raw_statistics", tolerance=1e-6, raw=True)
def raw_statistics(
    data: npt.NDArray[Any],
    rails: Floats | None = None,
    stretches: Ints | None = None,
    *,
    n_threads: int = 1,
) -> RawStatistics:
    """Return statistics of raw samples.

    Parameters
    ----------
    data : array, axes (channel, sample)
        int16, int32, float32 or float64 in native byte order, contiguous samples.
    rails : float64 array, axes (channel, low/high) | None
        Lowest and highest value of the converter; NaN where unknown. There the block's own
        extremes count, in runs of at least three equal samples, if at least eight samples are
        in such runs and four times as many as hold the next value inwards: clipping piles
        samples up at its edge, a signal thins out towards its extremes.
    stretches : int64 array, axes (stretch, 3) | None
        (channel, start, stop) of what to look at; None for everything. Differences and runs do
        not cross from one stretch to the next.
    n_threads : int

    Returns
    -------
    RawStatistics

    Raises
    ------
    KernelInputError
    """

    def look(data: npt.NDArray[Any], pieces: Ints) -> Found:
        return _look(np.ascontiguousarray(data), pieces, n_threads)

    return summarise(data, rails, stretches, look)


def summarise(
    data: Any, rails: Floats | None, stretches: Ints | None, look: Callable[[Any, Ints], Found]
) -> RawStatistics:
    """Return the statistics of samples, wherever they are, that ``look`` finds in stretches.

    ``look(data, pieces)`` gives the stretches of finite samples and, for each of them, the
    columns of `brainforge.kernels.raw_scan.COLUMNS` and ``flat_run``, on the host.
    """
    _check(data, rails)
    n = data.shape[0]
    edges = np.full((n, 2), np.nan) if rails is None else np.asarray(rails, np.float64)
    pieces = _pieces(data.shape, stretches)
    whole = _sums(n, pieces[:, 0], pieces[:, 2] - pieces[:, 1])
    pieces, found = look(data, pieces)
    stats = _by_channel(n, pieces, found, whole)
    return replace(stats, railed=_railed(data, pieces, edges, found))


def _look(data: npt.NDArray[Any], pieces: Ints, n_threads: int) -> Found:
    if data.dtype.kind == "f":
        pieces = _finite(data, pieces, n_threads)
    values = np.zeros((len(pieces), len(COLUMNS)))
    flat = np.zeros(len(pieces), dtype=np.int64)

    def one(part: slice) -> None:
        SCAN[data.dtype.name](data, pieces[part], values[part])
        FLAT_RUNS[data.dtype.name](data, pieces[part], flat[part])

    parallel_map(one, slices(len(pieces), n_threads), n_threads)
    return pieces, {**dict(zip(COLUMNS, values.T)), "flat_run": flat.astype(np.float64)}


def rail_intervals(
    row: npt.NDArray[Any], low: float, high: float, *, known: bool, join: int = 0
) -> Ints:
    """Return the stretches of one channel at or beyond its rails, axes (stretch, start/stop).

    Parameters
    ----------
    row : array, axes (sample,)
    low, high : float
        Rails; not ``known`` ones count in runs of at least three samples.
    known : bool
    join : int
        Stretches at most this many samples apart become one.
    """
    return intervals(
        _long_runs(row >= high, 1 if known else RAIL_RUN)
        | _long_runs(row <= low, 1 if known else RAIL_RUN),
        join,
    )


def intervals(flags: npt.NDArray[np.bool_], join: int = 0) -> Ints:
    """Return where ``flags`` (sample,) is true, as (stretch, start/stop), near ones joined."""
    edges = np.flatnonzero(np.diff(flags.astype(np.int8), prepend=0, append=0))
    starts, stops = edges[::2], edges[1::2]
    if starts.size:
        apart = starts[1:] - stops[:-1] > join
        starts, stops = starts[np.r_[True, apart]], stops[np.r_[apart, True]]
    return np.column_stack([starts, stops]).astype(np.int64)


def _long_runs(flags: npt.NDArray[np.bool_], shortest: int) -> npt.NDArray[np.bool_]:
    if shortest <= 1:
        return flags
    out = np.zeros_like(flags)
    for start, stop in intervals(flags):
        out[start:stop] = stop - start >= shortest
    return out


def _railed(data: npt.NDArray[Any], pieces: Ints, edges: Floats, found: dict[str, Floats]) -> Ints:
    """Count railed samples; only stretches that may hold some are read again."""
    low, high = found["lowest"], found["highest"]
    held = np.maximum(found["at_low"], found["at_high"])
    rails = edges[pieces[:, 0]]
    known = np.isfinite(rails.sum(axis=1))
    touched = (low <= rails[:, 0]) | (high >= rails[:, 1])
    piled = (held >= RAIL_MIN) & (found["flat_run"] >= RAIL_RUN) & (high > low)
    railed = np.zeros(len(edges), dtype=np.int64)
    for at in np.flatnonzero(np.where(known, touched, piled)):
        channel, start, stop = pieces[at]
        row = to_host(data[int(channel), int(start) : int(stop)])
        if known[at]:
            railed[channel] += np.count_nonzero((row <= rails[at, 0]) | (row >= rails[at, 1]))
        else:
            railed[channel] += sum(clipped(row))
    return railed


def clipped(row: npt.NDArray[Any]) -> tuple[int, int]:
    """Return how many samples (sample,), all finite, are clipped at the low and the high end.

    For a converter with unknown rails; `raw_statistics` says by which rule.
    """
    out = [0, 0]
    for end, extreme in enumerate((np.min, np.max)):
        at_edge = row == extreme(row)
        held = int(np.count_nonzero(_long_runs(at_edge, RAIL_RUN)))
        if held < RAIL_MIN or at_edge.all():
            continue
        inner = row[~at_edge]
        if held >= RAIL_PILE * np.count_nonzero(inner == extreme(inner)):
            out[end] = held
    return out[0], out[1]


def _check(data: Any, rails: Floats | None) -> None:
    native = is_device(data) or data.dtype.isnative
    if data.ndim != 2 or dtype_name(data) not in DTYPES or not native:
        raise KernelInputError(
            where="data",
            expected=f"channels x samples of {', '.join(DTYPES)} in native byte order",
            got=f"{data.dtype if native else data.dtype.str} of shape {data.shape}",
        )
    if rails is not None and np.shape(rails) != (data.shape[0], 2):
        raise KernelInputError(
            where="rails", expected=f"shape {(data.shape[0], 2)}", got=f"{np.shape(rails)}"
        )


def _pieces(shape: tuple[int, ...], stretches: Ints | None) -> Ints:
    """Return checked stretches (channel, start, stop) without the empty ones."""
    if stretches is None:
        every = np.arange(shape[0])
        stretches = np.column_stack([every, 0 * every, np.full(shape[0], shape[1])])
    pieces = np.ascontiguousarray(stretches, dtype=np.int64).reshape(-1, 3)
    inside = (pieces >= 0).all() and (pieces <= [max(shape[0] - 1, 0), shape[1], shape[1]]).all()
    if not inside:
        raise KernelInputError(
            where="stretches", expected=f"(channel, start, stop) inside {shape}", got="some outside"
        )
    return pieces[pieces[:, 2] > pieces[:, 1]]


def _finite(data: npt.NDArray[Any], pieces: Ints, n_threads: int) -> Ints:
    """Cut non-finite samples out of the stretches."""
    n_bad = np.zeros(len(pieces), dtype=np.int64)
    count = COUNT_NON_FINITE[data.dtype.name]
    parallel_map(
        lambda part: count(data, pieces[part], n_bad[part]),
        slices(len(pieces), n_threads),
        n_threads,
    )
    if not n_bad.any():
        return pieces
    return finite_stretches(data, pieces, n_bad)


def finite_stretches(data: Any, pieces: Ints, n_bad: npt.NDArray[Any]) -> Ints:
    """Return stretches without the ``n_bad`` (stretch,) non-finite samples that each holds."""
    out = [pieces[n_bad == 0]]
    for channel, start, stop in pieces[n_bad > 0].tolist():
        found = intervals(np.isfinite(to_host(data[channel, start:stop]))) + start
        out.append(np.column_stack([np.full(len(found), channel), found]))
    return np.concatenate(out)


def _reduce(n: int, channel: Ints, values: npt.NDArray[Any], by: np.ufunc, none: float) -> Floats:
    """Reduce the values of stretches to channels; ``none`` where a channel has no stretch."""
    out = np.full(n, none)
    if (channel[1:] > channel[:-1]).all():  # one each, as there is where nothing is masked
        out[channel] = values
    else:
        by.at(out, channel, values)
    return out


def _sums(n: int, channel: Ints, values: npt.NDArray[Any]) -> Floats:
    return _reduce(n, channel, values, np.add, 0.0)


def _by_channel(n: int, pieces: Ints, found: dict[str, Floats], whole: Floats) -> RawStatistics:
    """Reduce what was found in stretches to channels."""
    channel = pieces[:, 0]
    length = pieces[:, 2] - pieces[:, 1]
    n_finite = _sums(n, channel, length)
    low = _reduce(n, channel, found["lowest"], np.minimum, np.inf)
    high = _reduce(n, channel, found["highest"], np.maximum, -np.inf)
    flat = _reduce(n, channel, found["flat_run"], np.maximum, 0.0)
    return RawStatistics(
        n=n_finite.astype(np.int64),
        lowest=low,
        highest=high,
        total=_sums(n, channel, found["total"]),
        n_diff=_sums(n, channel, length - 1).astype(np.int64),
        diff_squares=_sums(n, channel, found["diff_squares"]),
        railed=np.zeros(n, dtype=np.int64),
        flat_run=flat.astype(np.int64),
        non_finite=(whole - n_finite).astype(np.int64),
    )
