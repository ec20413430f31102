"""FIR filters of as many channels side by side as a vector register holds.

Counts become float32 and are turned so that each lane of a vector is a channel. Then every tap
of a decimation is one aligned load and one multiplication for all lanes, whatever the factor,
and a tap that is zero costs nothing. Each output adds its taps in the same order wherever it
lies, so no cutting changes a bit. Importing this module imports Numba.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from brainforge.kernels.decimate import DTYPES
from brainforge.kernels.jit import lazy_jit
from brainforge.kernels.lane_rows import lanes_of, turned
from brainforge.kernels.vectors import (
    WIDTH,
    Emitter,
    Generated,
    data_pointer,
    no_sums,
    pack,
    unpack,
)

#: outputs whose sums are in registers at a time
OUTPUTS: Final = 12
#: samples of all lanes at a time: half a second-level cache at most
TILE: Final = 2048


@intrinsic
def _counts_in(
    _typing: Any, flat: Any, begins: Any, last: Any, at: Any, shift: Any, z: Any, to: Any
) -> Generated:
    """Copy WIDTH samples from ``begins[lane] + at`` on to z as float32, less ``shift[lane]``."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        emit = Emitter(builder)
        source, rows, offsets, target = (
            data_pointer(context, builder, signature.args[i], args[i]) for i in (0, 1, 4, 5)
        )
        kind, wide = source.type.pointee, offsets.type.pointee
        counts, reals, floats = (ir.VectorType(t, WIDTH) for t in (kind, wide, ir.FloatType()))
        undefined = ir.Constant(reals, ir.Undefined)
        first = ir.Constant(ir.IntType(32), 0)
        spread = ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), None)
        columns = []
        for lane in lanes_of(builder, args[2]):
            begin = builder.add(builder.load(builder.gep(rows, [lane])), args[3])
            place = builder.bitcast(builder.gep(source, [begin]), counts.as_pointer())
            x = builder.load(place, align=1)
            x = builder.sitofp(x, reals) if isinstance(kind, ir.IntType) else x
            one = builder.insert_element(
                undefined, builder.load(builder.gep(offsets, [lane])), first
            )
            x = builder.fsub(x, builder.shuffle_vector(one, undefined, spread))
            columns.append(x if reals == floats else builder.fptrunc(x, floats))
        for i, column in enumerate(turned(builder, columns)):
            emit.store(target, builder.add(args[6], ir.Constant(args[6].type, i * WIDTH)), column)
        return context.get_dummy_value()

    return types.void(flat, begins, last, at, shift, z, to), generate


@intrinsic
def _add_tap(
    _typing: Any, sums: Any, z: Any, at: Any, step: Any, taps: Any, index: Any
) -> Generated:
    """Return the sums plus tap ``index`` times the vectors at ``at``, ``at + step``, ..."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        emit = Emitter(builder)
        source, table = (data_pointer(context, builder, signature.args[i], args[i]) for i in (1, 4))
        tap, place, out = emit.spread(table, args[5]), args[2], []
        for value in unpack(builder, args[0], sums.count):
            out.append(emit.add(value, emit.mul(tap, emit.load(source, place))))
            place = builder.add(place, args[3])
        return pack(builder, out)

    return sums(sums, z, at, step, taps, index), generate


@intrinsic
def _put(_typing: Any, sums: Any, y: Any, at: Any) -> Generated:
    """Write a tuple of vectors one after the other from ``at`` on."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        emit, base = Emitter(builder), data_pointer(context, builder, signature.args[1], args[1])
        for i, value in enumerate(unpack(builder, args[0], sums.count)):
            emit.store(base, builder.add(args[2], ir.Constant(args[2].type, i * WIDTH)), value)
        return context.get_dummy_value()

    return types.void(sums, y, at), generate


@intrinsic
def _rows_out(
    _typing: Any, y: Any, at: Any, scale: Any, out: Any, to: Any, step: Any, last: Any
) -> Generated:
    """Copy WIDTH samples of y to the rows at ``to + row * step``, each times its scale."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        emit = Emitter(builder)
        source, factors, target = (
            data_pointer(context, builder, signature.args[i], args[i]) for i in (0, 2, 3)
        )
        places = [builder.add(args[1], ir.Constant(args[1].type, i * WIDTH)) for i in range(WIDTH)]
        rows = turned(builder, [emit.load(source, place) for place in places])
        # backwards, so that the last row is written after the lanes that share its place
        for lane, row in reversed(list(zip(lanes_of(builder, args[6]), rows))):
            place = builder.add(args[4], builder.mul(lane, args[5]))
            emit.store(target, place, emit.mul(row, emit.spread(factors, lane)))
        return context.get_dummy_value()

    return types.void(y, at, scale, out, to, step, last), generate


# as kernels see them: without the typing context that Numba puts in front
counts_in: Any = _counts_in
add_tap: Any = _add_tap
put: Any = _put
rows_out: Any = _rows_out


@lazy_jit()
def read_lanes(flat: Any, begins: Any, last: int, left: int, offset: Any, n: int, z: Any) -> None:
    """Turn ``n`` counts of some rows into lanes of z, less the rows' offsets.

    Of each row ``left`` samples are there; what lies beyond is zero.
    """
    real = type(offset[0])
    whole = min(n, left) // WIDTH * WIDTH
    for t in range(0, whole, WIDTH):
        counts_in(flat, begins, last, t, offset, z, t * WIDTH)
    for t in range(whole, n):
        for lane in range(WIDTH):
            row = min(lane, last)
            inside = t < left
            value = real(flat[begins[row] + t]) - offset[row] if inside else real(0)
            z[t * WIDTH + lane] = np.float32(value)


@lazy_jit()
def fir_lanes(z: Any, at: int, k: int, places: Any, taps: Any, y: Any, to: int, n: int) -> None:
    """Write ``n`` outputs, ``k`` samples apart, of the filter that begins at sample ``at``.

    ``places`` says how many samples from there each tap lies.
    """
    for m in range(0, n - OUTPUTS + 1, OUTPUTS):
        sums = no_sums(OUTPUTS)
        begin = (at + m * k) * WIDTH
        for i in range(len(taps)):
            sums = add_tap(sums, z, begin + places[i] * WIDTH, k * WIDTH, taps, i)
        put(sums, y, (to + m) * WIDTH)
    for m in range(n - n % OUTPUTS, n):
        one = no_sums(1)
        begin = (at + m * k) * WIDTH
        for i in range(len(taps)):
            one = add_tap(one, z, begin + places[i] * WIDTH, k * WIDTH, taps, i)
        put(one, y, (to + m) * WIDTH)


@lazy_jit(
    [
        f"void(Array({raw}, 1, 'C', readonly=True), int64[::1], int64, {off}[::1], float32[::1],"
        " int64, int64[::1], float32[::1], float32[::1], float32[::1], float32[:,::1], int64,"
        " int64)"
        for raw, off in DTYPES.items()
    ]
)
def decimate_rows(
    flat: Any,
    begins: Any,
    n_raw: int,
    offset: Any,
    scale: Any,
    k: int,
    places: Any,
    taps: Any,
    z: Any,
    y: Any,
    out: Any,
    at: int,
    n_out: int,
) -> None:
    """Filter and decimate the rows that lie at flat[begins[r] : begins[r] + n_raw].

    ``taps[i]`` is that of source sample ``places[i]``; z and y are room for the lanes of counts
    and of outputs. Outputs go to ``out[r, at : at + n_out]``, times ``scale[r]``.
    """
    reach = places[-1] + 1
    tile = y.shape[0] // WIDTH
    width = out.shape[1]
    for first in range(0, begins.shape[0], WIDTH):
        starts = begins[first : first + WIDTH].copy()
        last = len(starts) - 1
        factors, shift = scale[first : first + WIDTH], offset[first : first + WIDTH]
        target = first * width + at
        for begin in range(0, n_out, tile):
            n = min(tile, n_out - begin)
            read_lanes(flat, starts, last, n_raw - begin * k, shift, (n - 1) * k + reach, z)
            fir_lanes(z, 0, k, places, taps, y, 0, n)
            for m in range(0, n - WIDTH + 1, WIDTH):
                rows_out(y, m * WIDTH, factors, out, target + begin + m, width, last)
            for m in range(n - n % WIDTH, n):
                for lane in range(last + 1):
                    out[first + lane, at + begin + m] = y[m * WIDTH + lane] * factors[lane]
            starts += tile * k


@lazy_jit(
    [
        f"void(Array({raw}, 1, 'C', readonly=True), int64[::1], int64, {off}[::1], float32[::1],"
        " int64, int64, int64, int64[::1], float32[::1], int64, int64[::1], float32[::1],"
        " float32[::1], float32[::1], float32[::1], int64, float32[:,::1])"
        for raw, off in DTYPES.items()
    ]
)
def window_rms(
    flat: Any,
    begins: Any,
    n_raw: int,
    offset: Any,
    scale: Any,
    decim: int,
    turns: int,
    k_low: int,
    low_places: Any,
    low: Any,
    k_sharp: int,
    sharp_places: Any,
    sharp: Any,
    z: Any,
    between: Any,
    y: Any,
    size: int,
    out: Any,
) -> None:
    """Write the RMS of every window of two filters' outputs, ``size`` to a window.

    Output m of the row at flat[begins[r]] begins ``m * decim`` samples on. Outputs take
    ``turns``: every one in so many is filtered from the low-passed samples that begin with it,
    ``k_low`` apart. z, between and y are room for lanes of counts, of low-passed samples and of
    outputs; the last decides how many windows are done at a time.
    """
    tile = y.shape[0] // (WIDTH * size)
    for first in range(0, begins.shape[0], WIDTH):
        starts = begins[first : first + WIDTH].copy()
        last = len(starts) - 1
        shift = offset[first : first + WIDTH]
        for begin in range(0, out.shape[1], tile):
            n_windows = min(tile, out.shape[1] - begin)
            n = n_windows * size // turns
            n_low = (n - 1) * k_sharp + sharp_places[-1] + 1
            n_counts = (turns - 1) * decim + (n_low - 1) * k_low + low_places[-1] + 1
            left = n_raw - begin * size * decim
            read_lanes(flat, starts, last, left, shift, n_counts, z)
            for turn in range(turns):
                fir_lanes(z, turn * decim, k_low, low_places, low, between, 0, n_low)
                fir_lanes(between, 0, k_sharp, sharp_places, sharp, y, turn * n, n)
            for w in range(n_windows):
                for lane in range(last + 1):
                    total = np.float32(0)
                    for turn in range(turns):
                        for i in range(
                            turn * n + w * size // turns, turn * n + (w + 1) * size // turns
                        ):
                            total += y[i * WIDTH + lane] * y[i * WIDTH + lane]
                    mean = total / np.float32(size)
                    out[first + lane, begin + w] = np.sqrt(mean) * abs(scale[first + lane])
            starts += tile * size * decim
