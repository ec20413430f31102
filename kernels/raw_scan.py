"""The compiled loops behind `brainforge.kernels.raw_statistics`.

Each takes stretches (channel, start, stop) of the samples and writes a row for each. The loops
run over parts short enough for the first-level cache. The longest flat run is exact although
most samples are skipped: a run longer than the best one yet must hold the sample that far ahead.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from brainforge.kernels.jit import LazyKernel, lazy_jit

DTYPES: Final = ("int16", "int32", "float32", "float64")
#: what `SCAN` writes for a stretch
COLUMNS: Final = ("lowest", "highest", "total", "diff_squares", "at_low", "at_high")

PART = 4096


def _scan_int16(data: Any, pieces: Any, found: Any) -> None:  # pragma: no cover - compiled
    for at in range(pieces.shape[0]):
        row = data[pieces[at, 0], pieces[at, 1] : pieces[at, 2]]
        low = high = row[0]
        total = np.float64(0)
        squares = np.float64(0)
        for start in range(0, row.size, PART):
            part = row[start : start + PART]
            # a part's sum fits 32 bits, and its squares lose 1e-7 at most in float32
            whole = np.int32(0)
            square = np.float32(0)
            for i in range(part.size):
                whole += np.int32(part[i])
                low = min(low, part[i])
                high = max(high, part[i])
            for i in range(1, part.size):
                step = np.float32(np.int32(part[i]) - np.int32(part[i - 1]))
                square += step * step
            if start > 0:
                step = np.float32(np.int32(part[0]) - np.int32(row[start - 1]))
                square += step * step
            total += whole
            squares += square
        at_low = np.int32(0)
        at_high = np.int32(0)
        for i in range(row.size):
            at_low += np.int32(row[i] == low)
            at_high += np.int32(row[i] == high)
        found[at, 0] = low
        found[at, 1] = high
        found[at, 2] = total
        found[at, 3] = squares
        found[at, 4] = at_low
        found[at, 5] = at_high


def _scan_wide(data: Any, pieces: Any, found: Any) -> None:  # pragma: no cover - compiled
    for at in range(pieces.shape[0]):
        row = data[pieces[at, 0], pieces[at, 1] : pieces[at, 2]]
        low = high = row[0]
        total = np.float64(0)
        squares = np.float64(0)
        for i in range(row.size):
            total += np.float64(row[i])
            low = min(low, row[i])
            high = max(high, row[i])
        for i in range(1, row.size):
            step = np.float64(row[i]) - np.float64(row[i - 1])
            squares += step * step
        at_low = np.int64(0)
        at_high = np.int64(0)
        for i in range(row.size):
            at_low += np.int64(row[i] == low)
            at_high += np.int64(row[i] == high)
        found[at, 0] = low
        found[at, 1] = high
        found[at, 2] = total
        found[at, 3] = squares
        found[at, 4] = at_low
        found[at, 5] = at_high


def _flat_runs(data: Any, pieces: Any, longest: Any) -> None:  # pragma: no cover - compiled
    for at in range(pieces.shape[0]):
        row = data[pieces[at, 0], pieces[at, 1] : pieces[at, 2]]
        best = 1
        start = 0
        while start + best < row.size:
            ahead = start + best
            value = row[ahead]
            back = ahead - 1
            while back >= start and row[back] == value:
                back -= 1
            if back >= start:
                start = back + 1
                continue
            stop = ahead + 1
            while stop < row.size and row[stop] == value:
                stop += 1
            best = stop - start
            start = stop
        longest[at] = best


def _count_non_finite(data: Any, pieces: Any, n_bad: Any) -> None:  # pragma: no cover - compiled
    for at in range(pieces.shape[0]):
        row = data[pieces[at, 0], pieces[at, 1] : pieces[at, 2]]
        count = np.int64(0)
        for i in range(row.size):
            # infinity minus itself is NaN, and NaN equals nothing
            count += np.int64(row[i] - row[i] != 0)
        n_bad[at] = count


def _input(dtype: str) -> str:
    """Blocks hand their samples out read-only; a writable array fits this type too."""
    return f"Array({dtype}, 2, 'C', readonly=True), int64[:, ::1]"


#: by dtype; (data (channel, sample), pieces (stretch, 3), found (stretch, column)); finite input
SCAN: Final[dict[str, LazyKernel]] = {
    d: lazy_jit([f"void({_input(d)}, float64[:, ::1])"])(
        _scan_int16 if d == "int16" else _scan_wide
    )
    for d in DTYPES
}
#: by dtype; writes the longest run of equal samples of each stretch
FLAT_RUNS: Final[dict[str, LazyKernel]] = {
    d: lazy_jit([f"void({_input(d)}, int64[::1])"])(_flat_runs) for d in DTYPES
}
#: by dtype; writes the number of NaN and infinite samples; needs IEEE rules, hence no fastmath
COUNT_NON_FINITE: Final[dict[str, LazyKernel]] = {
    d: lazy_jit([f"void({_input(d)}, int64[::1])"], fastmath=False)(_count_non_finite)
    for d in DTYPES[2:]
}
