"""The five sums over time of every pair of channels, in tiles of two by two channels.

Left to itself LLVM takes vectors of 256 bits for a loop even where the machine has 512, and
brings the twenty sums of a tile together one by one. So both are written here as vectors.

Numba is imported with this module: import it where it is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from brainforge.kernels.jit import lazy_jit
from brainforge.kernels.vectors import FLOATS, WIDTH, Emitter

_BLOCK = 48
#: samples summed in float32 before they go to the float64 sums
_CHUNK = 496
_PAIR = ir.VectorType(ir.DoubleType(), 2)


class _Tile:
    """What the tile's loop is made of."""

    def __init__(self, builder: Any, word: Any) -> None:
        self._builder, self._word, self._emit = builder, word, Emitter(builder)

    def row(self, rows: Any, n_times: Any, channel: Any, which: int) -> Any:
        """Return a pointer to re, im or inverse of a channel."""
        b = self._builder
        first = b.add(b.mul(channel, ir.Constant(self._word, 3)), ir.Constant(self._word, which))
        return b.gep(rows, [b.mul(first, n_times)])

    def load(self, rows: Sequence[Any], at: Any) -> list[Any]:
        """Return re, im and inverse from sample ``at`` on."""
        return [self._emit.load(row, at) for row in rows]

    def five(self, i: Sequence[Any], j: Sequence[Any], sums: Sequence[Any]) -> None:
        """Add c, o, o squared, h and h squared of two channels to ``sums``."""
        b, emit = self._builder, self._emit
        (ar, ai, aw), (cr, ci, cw) = i, j
        c = emit.size(emit.sub(emit.mul(ai, cr), emit.mul(ar, ci)))
        o, h = emit.mul(c, cw), emit.mul(c, aw)
        for place, value in zip(sums, (c, o, emit.mul(o, o), h, emit.mul(h, h))):
            b.store(emit.add(b.load(place), value), place)

    def two_totals(self, one: Any, two: Any) -> Any:
        """Return the sums over the lanes of two vectors, side by side in float64."""
        b, width = self._builder, WIDTH
        while width > 1:
            half = width // 2
            lanes = (*range(half), *range(width, width + half))
            low, high = (
                b.shuffle_vector(
                    one,
                    two,
                    ir.Constant(
                        ir.VectorType(ir.IntType(32), width),
                        [lane + first for lane in lanes],
                    ),
                )
                for first in (0, half)
            )
            one = b.fadd(low, high)
            two, width = ir.Constant(one.type, ir.Undefined), half
        return b.fpext(one, _PAIR)


def _add_tile(
    typing: Any, rows: Any, channels: Any, start: Any, stop: Any, out: Any, column: Any
) -> Any:
    """Add the five sums of (i, j), (i, j1), (i1, j), (i1, j1) over a range of samples.

    ``channels`` is (i, i1, j, j1); ``out`` has axes (i, sum, j), and ``column`` is that of j.
    """
    signature = types.void(rows, channels, start, stop, out, column)

    def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, args[0])
        place = context.make_array(signature.args[4])(context, builder, args[4])
        word = context.get_value_type(types.intp)
        n_times = builder.extract_value(array.shape, 2)
        width = builder.extract_value(place.shape, 2)
        tile = _Tile(builder, word)
        pointers = [
            [tile.row(array.data, n_times, builder.extract_value(args[1], k), which)
             for which in range(3)]
            for k in range(4)
        ]  # fmt: skip
        alloca: Any = cgutils.alloca_once
        sums = [[alloca(builder, FLOATS) for _ in range(5)] for _ in range(4)]
        for one in (one for pair in sums for one in pair):
            builder.store(ir.Constant(FLOATS, None), one)
        step = ir.Constant(word, WIDTH)
        with cgutils.for_range_slice(builder, args[2], args[3], step, word) as (at, _):
            i, i1, j, j1 = (tile.load(three, at) for three in pointers)
            for five, one, two in zip(sums, (i, i, i1, i1), (j, j1, j, j1)):
                tile.five(one, two, five)
        for side in range(2):
            for s in range(5):
                totals = tile.two_totals(*(builder.load(sums[2 * side + k][s]) for k in range(2)))
                row = builder.mul(ir.Constant(word, 5 * side + s), width)
                pointer = builder.gep(place.data, [builder.add(row, args[5])])
                pointer = builder.bitcast(pointer, _PAIR.as_pointer())
                builder.store(
                    builder.fadd(builder.load(pointer, align=8), totals), pointer, align=8
                )
        return context.get_dummy_value()

    return signature, lower


_tile: Any = intrinsic(_add_tile)


@lazy_jit(["void(float32[:, :, ::1], float64[::1], float64[::1], int64, boolean, float64[::1])"])
def pair_correlations(
    rows: Any, means: Any, variances: Any, n_times: Any, absolute: Any, out: Any
) -> None:
    """Fill out (pair,) with the mean of both directions' correlations; 0 for no variance.

    Parameters
    ----------
    rows : float32 array, C order, axes (channel, re/im/inverse, time)
        Starting on a cache line, times in whole groups of sixteen, zeros in the padding.
    means, variances : float64 array, axes (channel,)
        Mean of |z|, and the sum of its squared deviations.
    n_times : int
        Samples without the padding.
    absolute : bool
        Take the absolute value of each direction.
    out : float64 array, axes (pair,)
    """
    n, length = rows.shape[0], rows.shape[2]
    per_sample = 1.0 / n_times
    sums = np.empty((2, 5, _BLOCK))
    for block in range(0, n, _BLOCK):
        last = min(block + _BLOCK, n)
        for i in range(0, last, 2):
            # an odd end is repeated, and what comes of it left out
            i1 = min(i + 1, n - 1)
            sums[:] = 0.0
            for j in range(max(block, i), last, 2):
                channels = (i, i1, j, min(j + 1, n - 1))
                for start in range(0, length, _CHUNK):
                    _tile(rows, channels, start, min(start + _CHUNK, length), sums, j - block)
            for side in range(i1 - i + 1):
                k = i + side
                first = max(block, k + 1)
                at = k * n - k * (k + 1) // 2 - k - 1
                part = sums[side, :, first - block : last - block]
                mean_j, variance_j = means[first:last], variances[first:last]
                mean_k, variance_k = means[k], variances[k]
                r = out[at + first : at + last]
                # the loop holds no branch, so that it runs on vectors
                for j in range(last - first):
                    c, o, oo, h, hh = part[0, j], part[1, j], part[2, j], part[3, j], part[4, j]
                    spread = oo - o * o * per_sample
                    # what is left of a constant envelope is rounding
                    square = spread * variance_j[j] if spread > 1e-6 * oo else 0.0
                    one = (c - o * mean_j[j]) / np.sqrt(square) if square > 0.0 else 0.0
                    spread = hh - h * h * per_sample
                    square = spread * variance_k if spread > 1e-6 * hh else 0.0
                    two = (c - h * mean_k) / np.sqrt(square) if square > 0.0 else 0.0
                    r[j] = 0.5 * (abs(one) + abs(two)) if absolute else 0.5 * (one + two)
