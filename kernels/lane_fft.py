"""Fourier transforms of as many signals side by side as a vector register holds, in place.

Each lane of a vector is a signal of its own, so that no pass of the transform shuffles: every
radix runs at the full width whatever the length. Nothing is ever put into the order of the
frequencies either: a filter takes them as the passes leave them. Going forward a pass is a
butterfly and then its twiddle factors, coming back the same in reverse.

A signal is transformed by halves: its even samples are the real, its odd ones the imaginary
part of a signal of half the length. Importing this module imports Numba.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from brainforge.kernels.jit import lazy_jit
from brainforge.kernels.vectors import WIDTH, Emitter, Generated, data_pointer

F32 = npt.NDArray[np.float32]
RADICES: Final = (4, 2, 3, 5)
#: floats of a complex sample of all lanes
SAMPLE: Final = 2 * WIDTH
#: samples of a part that stays in the first-level cache
_NEAR: Final = (24 << 10) // (4 * SAMPLE)


@dataclass(frozen=True)
class Passes:
    """The passes of a complex transform of ``n`` samples, n a product of 2, 3, 4 and 5."""

    n: int

    @cached_property
    def radices(self) -> tuple[int, ...]:
        """Radix of each pass, in forward order."""
        left, out = self.n, []
        for radix in RADICES:
            while left % radix == 0:
                left //= radix
                out.append(radix)
        return tuple(out)

    @cached_property
    def _table(self) -> list[tuple[int, int, int]]:
        """Radix of each pass, length before it, and where its twiddle factors begin."""
        rows, length, at = [], self.n, 0
        for radix in self.radices:
            rows.append((radix, length, at))
            at += 2 * (radix - 1) * (length // radix)
            length //= radix
        return rows

    @cached_property
    def schedule(self) -> npt.NDArray[np.int64]:
        """Forward steps, axes (step, radix / length / twiddle factors / begin / end).

        A part of the signal that fits the nearest cache goes through all passes that are left
        before the next part does.
        """
        far = [row for row in self._table if row[1] > _NEAR]
        near = self._table[len(far) :]
        steps = [(*row, 0, self.n) for row in far]
        part = near[0][1] if near else self.n
        steps += [(*row, at, at + part) for at in range(0, self.n, part) for row in near]
        return np.array(steps, dtype=np.int64).reshape(-1, 5)

    @cached_property
    def twiddles(self) -> F32:
        """Cosine and sine for each pass, sample and output but the first."""
        parts = [np.zeros(0)]
        for radix, length, _ in self._table:
            turns = np.outer(np.arange(length // radix), np.arange(1, radix)) / length
            parts.append(np.stack([np.cos(2 * np.pi * turns), np.sin(2 * np.pi * turns)], -1))
        return np.concatenate([p.ravel() for p in parts]).astype(np.float32)

    @cached_property
    def order(self) -> npt.NDArray[np.int64]:
        """Frequency that the forward passes leave at each sample."""
        order = np.zeros(1, np.int64)
        for radix in self.radices[::-1]:
            order = (np.arange(radix)[:, None] + radix * order).ravel()
        return order


Pair = tuple[Any, Any]


def _plus(emit: Emitter, x: Pair, y: Pair) -> Pair:
    return emit.add(x[0], y[0]), emit.add(x[1], y[1])


def _minus(emit: Emitter, x: Pair, y: Pair) -> Pair:
    return emit.sub(x[0], y[0]), emit.sub(x[1], y[1])


def _plus_i(emit: Emitter, x: Pair, y: Pair, sign: int) -> Pair:
    """Return x + i y, x - i y where ``sign`` is -1."""
    if sign > 0:
        return emit.sub(x[0], y[1]), emit.add(x[1], y[0])
    return emit.add(x[0], y[1]), emit.sub(x[1], y[0])


def _scaled(emit: Emitter, x: Pair, factor: Any) -> Pair:
    return emit.mul(x[0], factor), emit.mul(x[1], factor)


def _turned(emit: Emitter, x: Pair, cosine: Any, sine: Any, sign: int) -> Pair:
    """Return x times cosine + i sine, its conjugate where ``sign`` is -1."""
    return _plus_i(
        emit,
        (emit.mul(x[0], cosine), emit.mul(x[1], cosine)),
        (emit.mul(x[0], sine), emit.mul(x[1], sine)),
        sign,
    )


def _transform(emit: Emitter, x: list[Pair], sign: int) -> list[Pair]:
    """Return the sums of x[q] exp(sign 2 pi i p q / radix) for p = 0 to radix - 1."""
    if len(x) == 2:
        return [_plus(emit, *x), _minus(emit, *x)]
    if len(x) == 4:
        even, odd = _plus(emit, x[0], x[2]), _plus(emit, x[1], x[3])
        change, turn = _minus(emit, x[0], x[2]), _minus(emit, x[1], x[3])
        return [
            _plus(emit, even, odd),
            _plus_i(emit, change, turn, sign),
            _minus(emit, even, odd),
            _plus_i(emit, change, turn, -sign),
        ]
    half = len(x) // 2  # of an odd radix: outputs p and -p share their sums
    sums = [_plus(emit, x[q], x[-q]) for q in range(1, half + 1)]
    differences = [_minus(emit, x[q], x[-q]) for q in range(1, half + 1)]
    out = [x[0]] * len(x)
    for q in range(half):
        out[0] = _plus(emit, out[0], sums[q])
    for p in range(1, half + 1):
        turns = [2 * math.pi * (p * q % len(x)) / len(x) for q in range(1, half + 1)]
        real = x[0]
        imaginary = _scaled(emit, differences[0], emit.constant(math.sin(turns[0])))
        for q in range(half):
            real = _plus(emit, real, _scaled(emit, sums[q], emit.constant(math.cos(turns[q]))))
        for q in range(1, half):
            part = _scaled(emit, differences[q], emit.constant(math.sin(turns[q])))
            imaginary = _plus(emit, imaginary, part)
        out[p] = _plus_i(emit, real, imaginary, sign)
        out[-p] = _plus_i(emit, real, imaginary, -sign)
    return out


def _ahead(builder: Any, index: Any, n: int) -> Any:
    return builder.add(index, ir.Constant(index.type, n))


@intrinsic(prefer_literal=True)
def _butterfly(
    _typing: Any, z: Any, at: Any, step: Any, twiddles: Any, first: Any, radix: Any, sign: Any
) -> Generated:
    """Transform ``radix`` samples of z in place that lie ``step`` floats apart.

    With sign -1 the outputs are multiplied by their twiddle factors, with 1 the inputs by the
    conjugate ones.
    """
    n, direction = radix.literal_value, sign.literal_value

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        emit = Emitter(builder)
        base = data_pointer(context, builder, signature.args[0], args[0])
        table = data_pointer(context, builder, signature.args[3], args[3])
        places = [args[1]]
        for _ in range(n - 1):
            places.append(builder.add(places[-1], args[2]))
        factors = [
            (emit.spread(table, _ahead(builder, args[4], 2 * p)),
             emit.spread(table, _ahead(builder, args[4], 2 * p + 1)))
            for p in range(n - 1)
        ]  # fmt: skip
        x = [
            (emit.load(base, place), emit.load(base, _ahead(builder, place, WIDTH)))
            for place in places
        ]
        if direction > 0:
            x[1:] = [_turned(emit, v, *f, 1) for v, f in zip(x[1:], factors)]
        x = _transform(emit, x, direction)
        if direction < 0:
            x[1:] = [_turned(emit, v, *f, -1) for v, f in zip(x[1:], factors)]
        for place, value in zip(places, x):
            emit.store(base, place, value[0])
            emit.store(base, _ahead(builder, place, WIDTH), value[1])
        return context.get_dummy_value()

    kinds = (z, at, step, twiddles, first, radix, sign)
    return types.void(*kinds), generate


@intrinsic
def _respond(_typing: Any, z: Any, one: Any, other: Any, gains: Any, at: Any) -> Generated:
    """Filter the frequencies that lie at ``one`` and ``other`` and make up one pair.

    With E and O the transforms of even and odd samples, packed as E + i O, and the gains a,
    b cos, b sin: E' = a E + b w O and O' = b w* E + a O, w = cos - i sin.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        emit = Emitter(builder)
        base = data_pointer(context, builder, signature.args[0], args[0])
        table = data_pointer(context, builder, signature.args[3], args[3])
        a, c, s = (emit.spread(table, _ahead(builder, args[4], i)) for i in range(3))
        u, v = (
            (emit.load(base, place), emit.load(base, _ahead(builder, place, WIDTH)))
            for place in (args[1], args[2])
        )
        even = emit.add(u[0], v[0]), emit.sub(u[1], v[1])
        odd = emit.add(u[1], v[1]), emit.sub(v[0], u[0])
        new_even = _plus(emit, _scaled(emit, even, a), _turned(emit, odd, c, s, -1))
        new_odd = _plus(emit, _scaled(emit, odd, a), _turned(emit, even, c, s, 1))
        first = _plus_i(emit, new_even, new_odd, 1)
        second = emit.add(new_even[0], new_odd[1]), emit.sub(new_odd[0], new_even[1])
        for place, value in ((args[1], first), (args[2], second)):
            emit.store(base, place, value[0])
            emit.store(base, _ahead(builder, place, WIDTH), value[1])
        return context.get_dummy_value()

    return types.void(z, one, other, gains, at), generate


# as kernels see them: without the typing context that Numba puts in front
butterfly: Any = _butterfly
respond: Any = _respond


@lazy_jit()
def forward_pass(z: Any, step: Any, twiddles: Any) -> None:
    """Run a step of `Passes.schedule` on WIDTH complex signals in place."""
    radix, length, first = step[0], step[1], step[2]
    n = length // radix
    for start in range(step[3], step[4], length):
        for j in range(n):
            at, to = (start + j) * SAMPLE, first + 2 * (radix - 1) * j
            if radix == 4:
                butterfly(z, at, n * SAMPLE, twiddles, to, 4, -1)
            elif radix == 2:
                butterfly(z, at, n * SAMPLE, twiddles, to, 2, -1)
            elif radix == 3:
                butterfly(z, at, n * SAMPLE, twiddles, to, 3, -1)
            else:
                butterfly(z, at, n * SAMPLE, twiddles, to, 5, -1)


@lazy_jit()
def backward_pass(z: Any, step: Any, twiddles: Any) -> None:
    """Undo a step of `Passes.schedule`, but for a factor of its radix."""
    radix, length, first = step[0], step[1], step[2]
    n = length // radix
    for start in range(step[3], step[4], length):
        for j in range(n):
            at, to = (start + j) * SAMPLE, first + 2 * (radix - 1) * j
            if radix == 4:
                butterfly(z, at, n * SAMPLE, twiddles, to, 4, 1)
            elif radix == 2:
                butterfly(z, at, n * SAMPLE, twiddles, to, 2, 1)
            elif radix == 3:
                butterfly(z, at, n * SAMPLE, twiddles, to, 3, 1)
            else:
                butterfly(z, at, n * SAMPLE, twiddles, to, 5, 1)


@lazy_jit()
def filter_lanes(z: Any, schedule: Any, twiddles: Any, pairs: Any, gains: Any) -> None:
    """Filter WIDTH real signals in place, twice as many samples of each as the passes have.

    Parameters
    ----------
    z : float32 array, axes (sample * lane,)
        Sample by sample, the lanes of a sample side by side.
    schedule, twiddles
        Of `Passes`.
    pairs : int64 array, axes (pair, 2)
    gains : float32 array, axes (pair * 3,)
        From `paired_gains`.
    """
    for i in range(len(schedule)):
        forward_pass(z, schedule[i], twiddles)
    for pair in range(pairs.shape[0]):
        respond(z, pairs[pair, 0], pairs[pair, 1], gains, 3 * pair)
    for i in range(len(schedule) - 1, -1, -1):
        backward_pass(z, schedule[i], twiddles)


def paired_gains(response: npt.NDArray[np.float64], passes: Passes) -> tuple[Any, F32]:
    """Return where the pairs of frequencies lie and the gains of each, scale included.

    Parameters
    ----------
    response : float64 array, axes (frequency,)
        Real gains at the ``passes.n + 1`` frequencies of a real transform of ``2 * passes.n``
        samples.
    passes : Passes

    Returns
    -------
    pairs : int64 array, axes (pair, 2)
        Where frequencies k and n - k lie, in floats.
    gains : float32 array, axes (pair * 3,)
    """
    n = passes.n
    at = np.argsort(passes.order) * SAMPLE
    k = np.arange(n // 2 + 1)
    pairs = np.stack([at[k], at[-k % n]], axis=1).astype(np.int64)
    turns = 2 * np.pi * k / (2 * n)
    mean, change = response[k] + response[n - k], response[k] - response[n - k]
    gains = np.stack([mean, change * np.cos(turns), change * np.sin(turns)], axis=1) / (4 * n)
    return np.ascontiguousarray(pairs), gains.ravel().astype(np.float32)
