"""Tapered spectra of one epoch with a channel to each lane of a vector.

Rows are turned into vectors once; from there on every step, the transform among them, runs over
sixteen channels at a time, and only the bins that are wanted are put together from the halves
of the transform. They are written as whole lines of the packed chunk. Importing this module
imports Numba.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from brainforge.kernels.connectivity.layout import LANES
from brainforge.kernels.jit import lazy_jit
from brainforge.kernels.lane_fft import SAMPLE, Passes, forward_pass
from brainforge.kernels.lane_power import square_in
from brainforge.kernels.vectors import (
    FLOATS,
    WIDTH,
    Emitter,
    Generated,
    add_to,
    data_pointer,
    no_sums,
    pack,
    unpack,
)

#: samples summed in float32
_TOGETHER: Final = 25
#: the exponent's bits of a float32, which are all set in infinity and NaN
_INFINITY: Final = 0x7F800000


def has_lanes(n_times: int) -> bool:
    """Return whether there is a transform of ``n_times`` samples: even, of factors 2, 3 and 5."""
    half = n_times // 2
    return n_times % 2 == 0 and half > 1 and math.prod(Passes(half).radices) == half


@dataclass(frozen=True)
class BinPlan:
    """Where some bins of a transform of ``n_times`` real samples come from."""

    n_times: int
    bins: tuple[int, ...]

    @cached_property
    def passes(self) -> Passes:
        """Those of the transform of half the length."""
        return Passes(self.n_times // 2)

    @cached_property
    def places(self) -> npt.NDArray[np.int64]:
        """Where frequencies f and n - f of the half transform lie, axes (bin, 2), in floats."""
        at, bins = np.argsort(self.passes.order) * SAMPLE, np.array(self.bins, dtype=np.int64)
        n = self.n_times // 2
        return np.stack([at[bins % n], at[-bins % n]], axis=1).astype(np.int64).reshape(-1, 2)

    @cached_property
    def turns(self) -> npt.NDArray[np.float32]:
        """Half the cosine and half the sine that the odd samples are turned by, axes (bin, 2)."""
        angle = 2 * np.pi * np.array(self.bins) / self.n_times
        both = np.stack([np.cos(angle), np.sin(angle)], axis=1).reshape(-1, 2)
        return (0.5 * both).astype(np.float32)


@lru_cache(maxsize=8)
def bin_plan(n_times: int, bins: tuple[int, ...]) -> BinPlan:
    """Return the plan, kept from the last time."""
    return BinPlan(n_times, bins)


@lazy_jit()
def _turn(epoch: Any, places: Any, n_times: int, raw: Any) -> None:
    """Write raw[t * SAMPLE + lane] from the rows of an epoch at ``places``."""
    stop = n_times // WIDTH * WIDTH
    for t in range(0, stop, WIDTH):
        square_in(epoch, places, t, raw, t * SAMPLE)
    if stop < n_times and n_times >= WIDTH:
        # the last ones once more, with some that are there already
        square_in(epoch, places, n_times - WIDTH, raw, (n_times - WIDTH) * SAMPLE)
    elif stop < n_times:
        for lane in range(WIDTH):
            row = epoch[places[WIDTH + lane]]
            for t in range(n_times):
                raw[t * SAMPLE + lane] = row[t]


def _emit_look(_typing: Any, found: Any, raw: Any, at: Any) -> Generated:
    """Return sums of x - x[0] and |x - x[0]|, and the largest exponent's bits, with one sample."""
    whole = ir.VectorType(ir.IntType(32), WIDTH)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        emit, base = Emitter(builder), data_pointer(context, builder, signature.args[1], args[1])
        total, moved, worst = unpack(builder, args[0], 3)
        x = emit.load(base, args[2])
        change = emit.sub(x, emit.load(base, ir.Constant(args[2].type, 0)))
        # comparing floats could not tell NaN with the arithmetic that kernels are compiled for
        mask = ir.Constant(whole, [_INFINITY] * WIDTH)
        bits, most = builder.and_(builder.bitcast(x, whole), mask), builder.bitcast(worst, whole)
        most = builder.select(builder.icmp_signed(">", bits, most), bits, most)
        size = builder.select(emit.positive(change), change, emit.sub(emit.constant(0.0), change))
        new = [emit.add(total, change), emit.add(moved, size), builder.bitcast(most, FLOATS)]
        return pack(builder, new)

    return found(found, raw, at), generate


def _emit_differ(
    _typing: Any, raw: Any, now: Any, last: Any, lines: Any, w: Any, v: Any, z: Any, to: Any
) -> Generated:
    """Write (raw[now] - mean) w - (raw[last] - mean) v, times the gain, rounded once."""
    wide = ir.VectorType(ir.DoubleType(), WIDTH)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        emit = Emitter(builder)
        base, line, out = (
            data_pointer(context, builder, signature.args[i], args[i]) for i in (0, 3, 6)
        )

        def of_line(row: int) -> Any:
            place = builder.gep(line, [ir.Constant(args[1].type, row * WIDTH)])
            return builder.load(builder.bitcast(place, wide.as_pointer()), align=8)

        def weighted(at: Any, weight: Any) -> Any:
            x = builder.fsub(builder.fpext(emit.load(base, at), wide), mean)
            nothing = ir.Constant(wide, ir.Undefined)
            one = builder.insert_element(nothing, weight, ir.Constant(ir.IntType(32), 0))
            places = ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), None)
            return builder.fmul(x, builder.shuffle_vector(one, nothing, places))

        mean = of_line(0)
        value = builder.fsub(weighted(args[1], args[4]), weighted(args[2], args[5]))
        emit.store(out, args[7], builder.fptrunc(builder.fmul(value, of_line(1)), FLOATS))
        return context.get_dummy_value()

    return types.void(raw, now, last, lines, w, v, z, to), generate


_look: Any = intrinsic(_emit_look)
_differ: Any = intrinsic(_emit_differ)


@lazy_jit()
def _centre(raw: Any, n_times: int, gains: Any, room: Any, lines: Any) -> int:
    """Fill lines with each lane's mean and gain; return the largest exponent's bits.

    The mean has to be right to the last digit: within a taper's bandwidth of 0 Hz it leaks.
    """
    most, bits = 0, room.view(np.int32)
    for lane in range(2 * WIDTH):
        lines[lane] = 0.0
    for begin in range(0, n_times, _TOGETHER):
        found = no_sums(3)
        for t in range(begin, min(begin + _TOGETHER, n_times)):
            found = _look(found, raw, t * SAMPLE)
        for i in range(3 * WIDTH):
            room[i] = 0
        add_to(found, room, 0)
        for lane in range(WIDTH):
            lines[lane] += room[lane]
            # whether it has moved at all
            lines[WIDTH + lane] += bits[WIDTH + lane] != 0
            most = max(most, bits[2 * WIDTH + lane])
    for lane in range(WIDTH):
        lines[lane] = np.float64(raw[lane]) + lines[lane] / n_times
        # a flat epoch has no phase: rounding of its mean must not give it one
        lines[WIDTH + lane] = gains[lane] if lines[WIDTH + lane] > 0 else 0.0
    return most


@lazy_jit()
def _difference(raw: Any, lines: Any, taper: Any, before: Any, z: Any) -> None:
    """Write z[t * WIDTH + lane]: samples without mean, tapered, less what was before."""
    n_times = len(taper)
    last = (n_times - 1) * SAMPLE
    for t in range(n_times):
        _differ(raw, t * SAMPLE, last, lines, taper[t], before[t], z, t * WIDTH)
        last = t * SAMPLE


@lazy_jit()
def _gather(z: Any, places: Any, turns: Any, part: int, row: int, out: Any) -> None:
    """Write the bins of out (bin, row, lane) from the transform of even + i odd samples."""
    for f in range(len(places)):
        one, other = places[f, 0], places[f, 1]
        ar, ai = z[one : one + WIDTH], z[one + WIDTH : one + SAMPLE]
        cr, ci = z[other : other + WIDTH], z[other + WIDTH : other + SAMPLE]
        c, s, half = turns[f, 0], turns[f, 1], np.float32(0.5)
        re, im = out[f, row, part : part + WIDTH], out[f, row + 1, part : part + WIDTH]
        for lane in range(WIDTH):
            dr, di = ar[lane] - cr[lane], ai[lane] + ci[lane]
            re[lane] = half * (ar[lane] + cr[lane]) + c * di - s * dr
            im[lane] = half * (ai[lane] - ci[lane]) - c * dr - s * di


@lazy_jit(
    [
        "int64(Array(float32, 2, 'A', readonly=True), int64, int64, float64[:, ::1],"
        " float64[:, ::1], float64[::1], float32[::1], float32[::1], int64[:, ::1],"
        " float32[::1], int64[:, ::1], float32[:, ::1], float32[:, :, :, :, ::1], int64)"
    ]
)
def pack_lanes(
    epoch: Any, first: int, last: int, tapers: Any, before: Any, scale: Any, raw: Any, z: Any,
    schedule: Any, twiddles: Any, places: Any, turns: Any, chunk: Any, at: int,
) -> Any:  # fmt: skip
    """Pack some blocks of channels of one epoch; return the largest exponent of its samples.

    Parameters
    ----------
    epoch : float32 array, axes (channel, time)
        Each row contiguous.
    first, last : int
        The blocks, the last one exclusive.
    tapers, before : float64 arrays, axes (taper, time)
        ``before`` is what the sample before each is multiplied by.
    scale : float64 array, axes (channel,)
    raw : float32 array, axes (time * 2 * lane,)
        Room for samples.
    z : float32 array, axes (time * lane,)
        Room for the transform.
    schedule, twiddles
        Of `Passes`.
    places, turns
        Of `BinPlan`.
    chunk : float32 array, axes (bin, block, epoch, row, lane)
        Written to.
    at : int
        Its epoch.
    """
    n_channels, n_times = epoch.shape
    stride, most = epoch.strides[0] // 4, np.int64(0)
    where, gains = np.empty(2 * WIDTH, np.int64), np.empty(WIDTH)
    room, lines = np.empty(3 * WIDTH, np.float32), np.empty(2 * WIDTH)
    for group in range(first * LANES, last * LANES, WIDTH):
        block, part = group // LANES, group % LANES
        for lane in range(WIDTH):
            c = min(group + lane, n_channels - 1)
            gains[lane] = scale[c] if group + lane < n_channels else 0.0
            where[lane], where[WIDTH + lane] = c * stride, c
        _turn(epoch, where, n_times, raw)
        most = max(most, _centre(raw, n_times, gains, room, lines))
        for k in range(len(tapers)):
            _difference(raw, lines, tapers[k], before[k], z)
            for i in range(len(schedule)):
                forward_pass(z, schedule[i], twiddles)
            _gather(z, places, turns, part, 2 * k, chunk[:, block, at])
    return most
