"""The compiled loops behind `brainforge.kernels.raw_statistics`.

Each takes stretches (channel, start, stop) of the samples and writes a row for each. The loops
run over parts short enough for the first-level cache, one figure a loop, which LLVM turns into
vectors of the counts' own width. The longest flat run is exact: runs of up to four are told by
comparing neighbours, and only where there are longer ones is the stretch walked through.
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
            for i in range(part.size):
                low = min(low, part[i])
                high = max(high, part[i])
            # a part's sum fits 32 bits, and its squares lose 1e-7 at most in float32
            whole = np.int32(0)
            for i in range(part.size):
                whole += np.int32(part[i])
            ahead = row[start + 1 : start + PART + 1]
            square = np.float32(0)
            for i in range(ahead.size):
                step = np.float32(np.int32(ahead[i]) - np.int32(part[i]))
                square += step * step
            total += whole
            squares += square
        at_low = np.int64(0)
        at_high = np.int64(0)
        for start in range(0, row.size, PART):
            part = row[start : start + PART]
            n_low = np.int16(0)
            n_high = np.int16(0)
            for i in range(part.size):
                n_low = np.int16(n_low + np.int16(part[i] == low))
                n_high = np.int16(n_high + np.int16(part[i] == high))
            at_low += n_low
            at_high += n_high
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


@lazy_jit()
def _longest(row: Any) -> int:  # pragma: no cover - compiled
    """Return the longest run of equal samples; one longer than the best yet ends that far on."""
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
    return best


def _flat_runs(data: Any, pieces: Any, longest: Any) -> None:  # pragma: no cover - compiled
    for at in range(pieces.shape[0]):
        longest[at] = _longest(data[pieces[at, 0], pieces[at, 1] : pieces[at, 2]])


def _flat_runs_of(unsigned: Any) -> Any:
    """Return the loop for integers, seen as ``unsigned`` ones of the same width."""

    def flat_runs(data: Any, pieces: Any, longest: Any) -> None:  # pragma: no cover - compiled
        for at in range(pieces.shape[0]):
            row = data[pieces[at, 0], pieces[at, 1] : pieces[at, 2]]
            x = row.view(unsigned)
            top = unsigned(0) - unsigned(1)
            two = three = four = five = unsigned(top)
            n = max(x.size - 4, 0)
            x1, x2, x3, x4 = x[1:], x[2:], x[3:], x[4:]
            # the bits in which a sample differs from the next ones; none in a run
            for i in range(n):
                bits = unsigned(x[i] ^ x1[i])
                two = min(two, bits)
                bits = unsigned(bits | unsigned(x[i] ^ x2[i]))
                three = min(three, bits)
                bits = unsigned(bits | unsigned(x[i] ^ x3[i]))
                four = min(four, bits)
                bits = unsigned(bits | unsigned(x[i] ^ x4[i]))
                five = min(five, bits)
            if five == 0 or n == 0:
                longest[at] = _longest(row)
            else:
                best = 1 + np.int64(two == 0) + np.int64(three == 0) + np.int64(four == 0)
                longest[at] = max(best, _longest(row[n:]))

    return flat_runs


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
    "int16": lazy_jit([f"void({_input('int16')}, int64[::1])"])(_flat_runs_of(np.uint16)),
    "int32": lazy_jit([f"void({_input('int32')}, int64[::1])"])(_flat_runs_of(np.uint32)),
    **{d: lazy_jit([f"void({_input(d)}, int64[::1])"])(_flat_runs) for d in DTYPES[2:]},
}
#: by dtype; writes the number of NaN and infinite samples; needs IEEE rules, hence no fastmath
COUNT_NON_FINITE: Final[dict[str, LazyKernel]] = {
    d: lazy_jit([f"void({_input(d)}, int64[::1])"], fastmath=False)(_count_non_finite)
    for d in DTYPES[2:]
}
