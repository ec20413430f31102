"""One pass over all channel pairs of one frequency gives every sum of the spectral measures.

Lanes of a vector are channels, so no sum is reduced across a register, and a tile of a few
channels i against one vector of channels j keeps all its sums in registers while epochs pass.
Both come from the first-level cache: a stretch of epochs of twelve channels i stays there.
float32 sums within a stretch and a chunk, float64 from there on.

One taper: 13 instructions for the seven sums of C = z_i conj(z_j): 4 for C, 1 for 1 / |C| as
1 / |z_i| times 1 / |z_j|. Several: C is summed over tapers before anything else, and 1 / |C| is
made in the loop. |Im C| is summed as 2 max(Im C, 0) - Im C, for the test is there already.

Importing this module imports Numba.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import numpy as np
from numba.extending import intrinsic

from brainforge.kernels.connectivity.layout import LANES, SUMS
from brainforge.kernels.jit import LazyKernel, lazy_jit
from brainforge.kernels.vectors import (
    REGISTERS,
    WIDTH,
    Emitter,
    Generated,
    add_to,
    data_pointer,
    no_sums,
    pack,
    unpack,
    widen,
)

#: channels i of a block; every tile divides it
_BLOCK: Final = 12
_TILES: Final = (6, 4, 3, 2, 1)
#: rows in a stretch of epochs: three blocks of channels of them fill the first-level cache
_STRETCH: Final = 128

_BITS: Final = {name: 1 << k for k, name in enumerate(SUMS)}


def _chosen(wanted: int) -> list[str]:
    return [name for name in SUMS if wanted & _BITS[name]]


def _add_cross(emit: Emitter, c: list[Any], zi: list[Any], zj: list[Any]) -> list[Any]:
    """Return real and imaginary part of z_i conj(z_j), added to those of the tapers before."""
    (ar, ai), (br, bi) = zi, zj
    re, im = emit.mul(ai, bi), emit.mul(ai, br)
    if c:
        re, im = emit.add(c[0], re), emit.add(c[1], im)
    return [emit.add(re, emit.mul(ar, br)), emit.sub(im, emit.mul(ar, bi))]


def _summed(emit: Emitter, sums: dict[str, Any], re: Any, im: Any, inverse: Any) -> list[Any]:
    """Return the sums with one more epoch in them."""
    positive = emit.positive(im)
    new = {
        "im": lambda s: emit.add(s, im),
        "abs_im": lambda s: emit.add_where(positive, s, im),
        "positive": lambda s: emit.add_where(positive, s, emit.constant(1.0)),
        "im2": lambda s: emit.add(s, emit.mul(im, im)),
        "re": lambda s: emit.add(s, re),
        "unit_re": lambda s: emit.add(s, emit.mul(re, inverse)),
        "unit_im": lambda s: emit.add(s, emit.mul(im, inverse)),
    }
    return [new[name](value) for name, value in sums.items()]


def _emit_epoch(
    _typing: Any, sums: Any, z: Any, at_i: Any, at_j: Any, at: Any, n_tapers: Any, wanted: Any
) -> Generated:
    """Return a tile's sums with the epoch at ``at`` of ``z``, a flat array, in them.

    From there on, ``at_i`` says where each channel i of the tile is, ``at_j`` the vector j.
    """
    names, n_k = _chosen(wanted.literal_value), n_tapers.literal_value
    tile, unit = sums.count // len(names), "unit_re" in names

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        emit, out = Emitter(builder), []
        base = data_pointer(context, builder, signature.args[1], args[1])
        places = data_pointer(context, builder, signature.args[2], args[2])
        of = [builder.load(builder.gep(places, [args[3].type(t)])) for t in range(tile)]

        def row(channel: Any, r: int) -> Any:
            return builder.add(builder.add(channel, args[4]), channel.type(r * LANES))

        def crossed(c: list[Any], t: int, k: int) -> list[Any]:
            zi = [emit.spread(base, row(of[t], r)) for r in (k, k + 1)]
            return _add_cross(emit, c, zi, zj)

        cross: list[list[Any]] = [[]] * tile
        # taper by taper, so that only two of the vectors of channels j wait in registers
        for k in range(0, 2 * n_k, 2):
            zj = [emit.load(base, row(args[3], r)) for r in (k, k + 1)]
            if n_k > 1:
                cross = [crossed(c, t, k) for t, c in enumerate(cross)]
        old = unpack(builder, args[0], sums.count)
        inverse_j = emit.load(base, row(args[3], 2)) if unit and n_k == 1 else None
        for t, c in enumerate(cross):
            re, im = c or crossed(c, t, 0)
            inverse = None
            if unit and n_k == 1:
                inverse = emit.mul(emit.spread(base, row(of[t], 2)), inverse_j)
            elif unit:
                inverse = emit.inverse_root(emit.add(emit.mul(re, re), emit.mul(im, im)))
            mine = old[t * len(names) : (t + 1) * len(names)]
            out += _summed(emit, dict(zip(names, mine)), re, im, inverse)
        return pack(builder, out)

    return sums(sums, z, at_i, at_j, at, n_tapers, wanted), generate


_add_epoch: Any = intrinsic(prefer_literal=True)(_emit_epoch)


def _tile(n_sums: int, n_tapers: int) -> int:
    """Return how many channels i a tile takes, so that its sums stay in registers."""
    # the cross-spectrum of several tapers waits in registers until the last one is in it
    each, free = (n_sums, REGISTERS - 8) if n_tapers == 1 else (n_sums + 2, REGISTERS - 5)
    return next(t for t in _TILES if t == 1 or each * t <= free)


def n_rows(n_tapers: int, names: tuple[str, ...]) -> int:
    """Return the rows of an epoch that the kernel reads; of one taper the third is 1 / |z|."""
    return 3 if n_tapers == 1 and "unit_re" in names else 2 * n_tapers


@lru_cache(maxsize=32)
def pair_kernel(n_tapers: int, names: tuple[str, ...]) -> LazyKernel:
    """Return the kernel for a number of tapers and some of `SUMS`, in their order.

    Both are constants in it, so that its loops unroll. It takes z (float32, C order, flat; axes
    block of channels, epoch, row, lane), the number of channels, that of epochs, the distance
    from one block to the next, the first and last (exclusive) of the channels i whose pairs are
    meant, whether what was there is to be forgotten, and out (float64, axes sum, pair of these
    channels), to which it adds.
    """
    wanted, n_sums, n_k = sum(_BITS[name] for name in names), len(names), n_tapers
    tile, rows = _tile(len(names), n_tapers), n_rows(n_tapers, names)
    step, stretch = rows * LANES, _STRETCH // rows
    n_vectors = tile * n_sums
    signed = names.index("im") if "abs_im" in names else -1
    unsigned = names.index("abs_im") if "abs_im" in names else -1

    def kernel(
        z: Any, n: Any, n_epochs: Any, stride: Any, begin_i: Any, end_i: Any, fresh: Any, out: Any
    ) -> None:
        sums = np.zeros(_BLOCK * n_sums * WIDTH, dtype=np.float32)
        places = np.zeros(tile, dtype=np.intp)
        n_pairs = out.shape[1]
        flat = out.reshape(-1)
        skipped = begin_i * n - begin_i * (begin_i + 1) // 2
        for first in range(begin_i, end_i, _BLOCK):
            last = min(first + _BLOCK, end_i)
            for j in range(first // WIDTH * WIDTH, n, WIDTH):
                at_j = j // LANES * stride + j % LANES
                sums[:] = 0
                for begin in range(0, n_epochs, stretch):
                    for i in range(first, last, tile):
                        for t in range(tile):
                            c = min(i + t, n - 1)
                            places[t] = c // LANES * stride + c % LANES
                        found = no_sums(n_vectors)
                        for e in range(begin, min(begin + stretch, n_epochs)):
                            found = _add_epoch(found, z, places, at_j, e * step, n_k, wanted)
                        add_to(found, sums, (i - first) * n_sums * WIDTH)
                for i in range(first, min(last, j + WIDTH - 1)):
                    mine = sums[(i - first) * n_sums * WIDTH :]
                    if unsigned >= 0:
                        for m in range(WIDTH):
                            at = unsigned * WIDTH + m
                            mine[at] = np.float32(2) * mine[at] - mine[signed * WIDTH + m]
                    lo, hi = max(i + 1 - j, 0), min(n - j, WIDTH)
                    place = i * n - i * (i + 1) // 2 - i - 1 + j - skipped
                    for k in range(n_sums):
                        if hi - lo < WIDTH:
                            for m in range(lo, hi):
                                old = 0.0 if fresh else flat[place + m]
                                flat[place + m] = old + mine[k * WIDTH + m]
                        elif fresh:
                            widen(mine, k * WIDTH, 0, flat, place)
                        else:
                            widen(mine, k * WIDTH, 1, flat, place)
                        place += n_pairs

    numbers = ", ".join(["int64"] * 5)
    z = "Array(float32, 1, 'C', readonly=True)"
    return lazy_jit([f"void({z}, {numbers}, boolean, float64[:, ::1])"])(kernel)
