"""Powers of windowed segments with a channel to each lane of a vector.

Rows of samples are turned into vectors while they are windowed, pairs of segments share a
complex transform, and its squares are added up where the passes leave them: nothing is put into
the order of the frequencies before the end. Importing this module imports Numba.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from brainforge.kernels.jit import lazy_jit
from brainforge.kernels.lane_fft import SAMPLE, forward_pass
from brainforge.kernels.lane_rows import turned
from brainforge.kernels.vectors import WIDTH, Emitter, Generated, data_pointer

F0 = np.float32(0)
#: sums of a segment's samples in flight: one alone would wait for its own additions
LEVELS = 4


def _index(n: int) -> Any:
    return ir.Constant(ir.IntType(64), n)


@intrinsic
def _square_in(_typing: Any, x: Any, places: Any, t: Any, z: Any, to: Any) -> Generated:
    """Copy WIDTH samples of the rows at ``places`` to every other vector of z."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        emit = Emitter(builder)
        source, at, target = (
            data_pointer(context, builder, signature.args[i], args[i]) for i in (0, 1, 3)
        )
        rows = []
        for lane in range(WIDTH):
            begin = builder.load(builder.gep(at, [_index(lane)]))
            rows.append(emit.load(source, builder.add(begin, args[2])))
        for i, column in enumerate(turned(builder, rows)):
            emit.store(target, builder.add(args[4], _index(i * SAMPLE)), column)
        return context.get_dummy_value()

    return types.void(x, places, t, z, to), generate


@intrinsic
def _add_level(_typing: Any, z: Any, at: Any, levels: Any, place: Any) -> Generated:
    """Add a vector of z to one of ``levels``."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        emit = Emitter(builder)
        base, sums = (data_pointer(context, builder, signature.args[i], args[i]) for i in (0, 2))
        emit.store(sums, args[3], emit.add(emit.load(sums, args[3]), emit.load(base, args[1])))
        return context.get_dummy_value()

    return types.void(z, at, levels, place), generate


@intrinsic
def _window(_typing: Any, z: Any, at: Any, means: Any, kept: Any, taper: Any, t: Any) -> Generated:
    """Take the means off a vector of z and window it; lanes not kept become 0."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        emit = Emitter(builder)
        base, mean, keep, window = (
            data_pointer(context, builder, signature.args[i], args[i]) for i in (0, 2, 3, 4)
        )
        value = emit.sub(emit.load(base, args[1]), emit.load(mean, _index(0)))
        value = emit.mul(value, emit.spread(window, args[5]))
        used = emit.positive(emit.load(keep, _index(0)))
        emit.store(base, args[1], builder.select(used, value, emit.constant(0.0)))
        return context.get_dummy_value()

    return types.void(z, at, means, kept, taper, t), generate


@intrinsic
def _add_square(_typing: Any, z: Any, at: Any, total: Any, place: Any) -> Generated:
    """Add re^2 + im^2 of the lanes of a complex sample to float64 sums."""
    wide = ir.VectorType(ir.DoubleType(), WIDTH)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        emit = Emitter(builder)
        base, sums = (data_pointer(context, builder, signature.args[i], args[i]) for i in (0, 2))
        re = emit.load(base, args[1])
        im = emit.load(base, builder.add(args[1], _index(WIDTH)))
        square = builder.fpext(emit.add(emit.mul(re, re), emit.mul(im, im)), wide)
        target = builder.bitcast(builder.gep(sums, [args[3]]), wide.as_pointer())
        builder.store(builder.fadd(builder.load(target, align=8), square), target, align=8)
        return context.get_dummy_value()

    return types.void(z, at, total, place), generate


# as kernels see them: without the typing context that Numba puts in front
square_in: Any = _square_in
add_level: Any = _add_level
window: Any = _window
add_square: Any = _add_square


@lazy_jit()
def _load(x: Any, places: Any, begin: int, end: int, z: Any, part: int) -> None:
    """Write samples ``begin`` to ``end`` of a segment of all lanes to their part of z."""
    stop = begin + (end - begin) // WIDTH * WIDTH
    for t in range(begin, stop, WIDTH):
        square_in(x, places, t, z, t * SAMPLE + part)
    for t in range(stop, end):
        for lane in range(WIDTH):
            z[t * SAMPLE + part + lane] = x[places[lane] + t]


@lazy_jit()
def _centre(z: Any, part: int, n: int, levels: Any, kept: Any, taper: Any) -> None:
    """Take off the means and window; sample by sample, however the samples were loaded."""
    levels[:] = F0
    for t in range(n):
        add_level(z, t * SAMPLE + part, levels, t % LEVELS * WIDTH)
    for lane in range(WIDTH):
        for i in range(1, LEVELS):
            levels[lane] += levels[i * WIDTH + lane]
        levels[lane] /= np.float32(n)
    for t in range(n):
        window(z, t * SAMPLE + part, levels, kept, taper, t)


_ROW = "Array(float32, 1, 'C', readonly=True)"


@lazy_jit(
    [
        f"void({_ROW}, int64, {_ROW}, int64, Array(int64, 1, 'C', readonly=True),"
        " Array(bool, 2, 'C', readonly=True), int64, int64, float32[::1], float32[::1],"
        " int64[:, ::1], float32[::1], float64[:, ::1])"
    ]
)
def add_power(
    x: Any,
    x_step: int,
    before: Any,
    before_step: int,
    rows: Any,
    keep: Any,
    first: int,
    step: int,
    taper: Any,
    z: Any,
    schedule: Any,
    twiddles: Any,
    total: Any,
) -> None:
    """Add squared transforms of pairs of segments, WIDTH rows at a time.

    Parameters
    ----------
    x, before : float32 arrays, axes (channel * sample,)
        Channels lie ``x_step`` and ``before_step`` samples apart; ``before`` ends where ``x``
        begins.
    rows : int64 array, axes (row,)
    keep : bool array, axes (row, segment)
        The others are not read.
    first, step : int
        Segment s begins at sample ``first + s * step`` of ``x``.
    taper : float32 array, axes (sample,)
    z : float32 array, axes (sample * 2 * lane,)
        Room for the lanes of a transform.
    schedule, twiddles
        Of `brainforge.kernels.lane_fft.Passes`.
    total : float64 array, axes (group of rows, place * lane)
        In the order that the passes leave.
    """
    n, n_rows, n_seg = len(taper), len(rows), keep.shape[1]
    old_places, places = np.empty(WIDTH, np.int64), np.empty(WIDTH, np.int64)
    levels, kept = np.empty(LEVELS * WIDTH, np.float32), np.empty(WIDTH, np.float32)
    for group in range(total.shape[0]):
        sums = total[group]
        for pair in range((n_seg + 1) // 2):
            n_kept = 0
            for half in range(2):
                s, part, here = 2 * pair + half, half * WIDTH, 0
                for lane in range(WIDTH):
                    i = group * WIDTH + lane
                    kept[lane] = F0
                    if i < n_rows and s < n_seg and keep[i, s]:
                        kept[lane] = np.float32(1)
                        here += 1
                n_kept += here
                if here == 0:
                    for t in range(n):
                        z[t * SAMPLE + part : t * SAMPLE + part + WIDTH] = F0
                    continue
                begin = first + s * step
                n_old = min(max(-begin, 0), n)
                for lane in range(WIDTH):
                    row = rows[min(group * WIDTH + lane, n_rows - 1)]
                    old_places[lane] = (row + 1) * before_step + begin
                    places[lane] = row * x_step + begin
                _load(before, old_places, 0, n_old, z, part)
                _load(x, places, n_old, n, z, part)
                _centre(z, part, n, levels, kept, taper)
            if n_kept:
                for i in range(len(schedule)):
                    forward_pass(z, schedule[i], twiddles)
                for t in range(n):
                    add_square(z, t * SAMPLE, sums, t * WIDTH)
