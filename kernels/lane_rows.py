"""Rows of samples to vectors of lanes and back, a straight line taken off and put on again.

A square of samples is turned in registers: as many rows as there are lanes, as many samples.
Importing this module imports Numba.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from brainforge.kernels.jit import lazy_jit
from brainforge.kernels.lane_fft import filter_lanes
from brainforge.kernels.vectors import FLOATS, WIDTH, Emitter, Generated, data_pointer


def turned(builder: Any, rows: list[Any]) -> list[Any]:
    """Transpose a square of vectors: log2(WIDTH) rounds in which neighbours swap halves."""
    step = 1
    while step < WIDTH:
        low = [(i if not i & step else WIDTH + i - step) for i in range(WIDTH)]
        high = [(i + step if not i & step else WIDTH + i) for i in range(WIDTH)]
        masks = [ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), picks) for picks in (low, high)]
        out = list(rows)
        for i in range(WIDTH):
            if not i & step:
                for k, mask in zip((i, i + step), masks):
                    out[k] = builder.shuffle_vector(rows[i], rows[i + step], mask)
        rows, step = out, 2 * step
    return rows


def _line(emit: Emitter, builder: Any, lines: Any, index: Any, gain: Any = None) -> Any:
    """Return the samples of all lanes' lines at a float32 time, times ``gain``."""
    low = emit.load(lines, ir.Constant(ir.IntType(64), 0))
    slope = emit.load(lines, ir.Constant(ir.IntType(64), WIDTH))
    at = builder.shuffle_vector(
        builder.insert_element(
            ir.Constant(FLOATS, ir.Undefined), index, ir.Constant(ir.IntType(32), 0)
        ),
        ir.Constant(FLOATS, ir.Undefined),
        ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), None),
    )
    return emit.add(low, emit.mul(slope, at))


def lanes_of(builder: Any, last: Any) -> list[Any]:
    """Return the row of each lane; lanes beyond the last row share its place."""
    lanes = [ir.Constant(last.type, lane) for lane in range(WIDTH)]
    return [builder.select(builder.icmp_signed("<", i, last), i, last) for i in lanes]


def _places(builder: Any, at: Any, step: Any, last: Any) -> list[Any]:
    return [builder.add(at, builder.mul(row, step)) for row in lanes_of(builder, last)]


@intrinsic
def _square_in(
    _typing: Any, x: Any, at: Any, step: Any, last: Any, lines: Any, time: Any, z: Any, to: Any
) -> Generated:
    """Copy WIDTH samples of the rows at ``at + row * step`` to z, less the lines."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        emit = Emitter(builder)
        source, table, target = (
            data_pointer(context, builder, signature.args[i], args[i]) for i in (0, 4, 6)
        )
        places = _places(builder, args[1], args[2], args[3])
        columns = turned(builder, [emit.load(source, place) for place in places])
        for i, column in enumerate(columns):
            index = builder.fadd(args[5], ir.Constant(ir.FloatType(), float(i)))
            place = builder.add(args[7], ir.Constant(args[7].type, i * WIDTH))
            emit.store(target, place, emit.sub(column, _line(emit, builder, table, index)))
        return context.get_dummy_value()

    return types.void(x, at, step, last, lines, time, z, to), generate


@intrinsic
def _square_out(
    _typing: Any, z: Any, at: Any, lines: Any, time: Any, out: Any, to: Any, step: Any, last: Any
) -> Generated:
    """Copy WIDTH samples of z to the rows at ``to + row * step``, plus the lines."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        emit = Emitter(builder)
        source, table, target = (
            data_pointer(context, builder, signature.args[i], args[i]) for i in (0, 2, 4)
        )
        columns = []
        for i in range(WIDTH):
            index = builder.fadd(args[3], ir.Constant(ir.FloatType(), float(i)))
            place = builder.add(args[1], ir.Constant(args[1].type, i * WIDTH))
            line = _line(emit, builder, table, index)
            columns.append(emit.add(emit.load(source, place), line))
        rows = turned(builder, columns)
        # backwards, so that the last row is written after the lanes that share its place
        for place, row in reversed(list(zip(_places(builder, args[5], args[6], args[7]), rows))):
            emit.store(target, place, row)
        return context.get_dummy_value()

    return types.void(z, at, lines, time, out, to, step, last), generate


# as kernels see them: without the typing context that Numba puts in front
square_in: Any = _square_in
square_out: Any = _square_out


@lazy_jit(
    [
        "void(Array(float32, 1, 'C', readonly=True), int64, int64, int64, int64, float32[::1],"
        " int64, int64, int64, int64, float32, int64, float32[::1], int64[:,::1],"
        " float32[::1], int64[:,::1], float32[::1])"
    ]
)
def filter_rows(
    x: Any,
    x_at: int,
    x_step: int,
    n_rows: int,
    n: int,
    out: Any,
    out_at: int,
    out_step: int,
    n_out: int,
    half: int,
    gain: float,
    ends: int,
    z: Any,
    schedule: Any,
    twiddles: Any,
    pairs: Any,
    gains: Any,
) -> None:
    """Filter ``n`` samples of rows that lie ``x_step`` apart, the first at ``x_at``.

    The straight line through the means of the first and last ``ends`` samples goes round the
    transform, times ``gain``. Of the result samples ``half`` to ``half + n_out`` are written.
    ``z`` is room for the lanes of a transform; the rest is of `filter_lanes`.
    """
    lines, back = np.empty(2 * WIDTH, np.float32), np.empty(2 * WIDTH, np.float32)
    for first in range(0, n_rows, WIDTH):
        last = min(WIDTH, n_rows - first) - 1
        source, target = x_at + first * x_step, out_at + first * out_step
        for lane in range(WIDTH):
            row = x[source + min(lane, last) * x_step : source + min(lane, last) * x_step + n]
            low, high = np.float64(0), np.float64(0)
            for i in range(ends):
                low += row[i]
                high += row[n - 1 - i]
            lines[lane] = low / ends
            lines[WIDTH + lane] = (high - low) / ends / max(n - 1, 1)
        for i in range(2 * WIDTH):
            back[i] = gain * lines[i]
        for t in range(0, n - WIDTH + 1, WIDTH):
            square_in(x, source + t, x_step, last, lines, np.float32(t), z, t * WIDTH)
        for t in range(n - n % WIDTH, n):
            for lane in range(WIDTH):
                value = x[source + min(lane, last) * x_step + t]
                line = lines[lane] + lines[WIDTH + lane] * np.float32(t)
                z[t * WIDTH + lane] = value - line
        z[n * WIDTH :] = np.float32(0)
        filter_lanes(z, schedule, twiddles, pairs, gains)
        for t in range(0, n_out - WIDTH + 1, WIDTH):
            at = t + half
            square_out(z, at * WIDTH, back, np.float32(at), out, target + t, out_step, last)
        for t in range(n_out - n_out % WIDTH, n_out):
            for lane in range(last + 1):
                line = back[lane] + back[WIDTH + lane] * np.float32(t + half)
                out[target + lane * out_step + t] = z[(t + half) * WIDTH + lane] + line
