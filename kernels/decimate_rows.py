"""The compiled loops behind `brainforge.kernels.decimate`: rows in flat memory, tile by tile."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from brainforge.kernels.jit import lazy_jit

#: dtype of the counts -> dtype in which the offset is taken off, so that no digit is lost
DTYPES: Final = {
    "int16": "float32",
    "float32": "float32",
    "int32": "float64",
    "float64": "float64",
}
#: taps of a phase are padded to multiples of this
WIDE: Final = 4
_TILE = 4096  # source samples at a time, so that phases and sums stay in the nearest cache


@lazy_jit()
def _split(column: Any, shift: Any, phases: Any, size: int) -> None:
    """Write ``size`` samples of each phase of a column, offset taken off."""
    k = phases.shape[0]
    real = type(shift)
    whole = min(size, column.shape[0] // k)
    # All phases of a sample in one loop of constant step compile to shuffles: 2 to 5 times the
    # speed of a strided loop for each phase.
    b0 = phases[0, :whole]
    if k == 4:
        b1, b2, b3 = phases[1, :whole], phases[2, :whole], phases[3, :whole]
        for i in range(whole):
            b0[i] = real(column[4 * i]) - shift
            b1[i] = real(column[4 * i + 1]) - shift
            b2[i] = real(column[4 * i + 2]) - shift
            b3[i] = real(column[4 * i + 3]) - shift
    elif k == 5:
        b1, b2, b3 = phases[1, :whole], phases[2, :whole], phases[3, :whole]
        b4 = phases[4, :whole]
        for i in range(whole):
            b0[i] = real(column[5 * i]) - shift
            b1[i] = real(column[5 * i + 1]) - shift
            b2[i] = real(column[5 * i + 2]) - shift
            b3[i] = real(column[5 * i + 3]) - shift
            b4[i] = real(column[5 * i + 4]) - shift
    elif k == 2:
        b1 = phases[1, :whole]
        for i in range(whole):
            b0[i] = real(column[2 * i]) - shift
            b1[i] = real(column[2 * i + 1]) - shift
    else:
        for p in range(k):
            one, every = phases[p, :whole], column[min(p, column.shape[0]) :]
            for i in range(whole):
                one[i] = real(every[k * i]) - shift
    phases[:, whole:size] = np.float32(0)
    for i in range(whole * k, min(column.shape[0], size * k)):
        phases[i % k, i // k] = real(column[i]) - shift


@lazy_jit()
def _add_taps(samples: Any, taps: Any, sums: Any) -> None:
    """Add the filtered samples of one phase; groups of taps that are zero cost nothing."""
    n, n_taps = sums.shape[0], taps.shape[0]
    q = 0
    while q < n_taps:
        h0, h1, h2, h3 = taps[q], taps[q + 1], taps[q + 2], taps[q + 3]
        if h0 == 0 and h1 == 0 and h2 == 0 and h3 == 0:
            q += 4
        elif q + 8 <= n_taps:
            h4, h5, h6, h7 = taps[q + 4], taps[q + 5], taps[q + 6], taps[q + 7]
            c = samples[q : q + n + 7]
            for i in range(n):
                near = h0 * c[i] + h1 * c[i + 1] + h2 * c[i + 2] + h3 * c[i + 3]
                far = h4 * c[i + 4] + h5 * c[i + 5] + h6 * c[i + 6] + h7 * c[i + 7]
                sums[i] += near + far
            q += 8
        else:
            c = samples[q : q + n + 3]
            for i in range(n):
                sums[i] += h0 * c[i] + h1 * c[i + 1] + h2 * c[i + 2] + h3 * c[i + 3]
            q += 4


@lazy_jit(
    [
        f"void(Array({raw}, 1, 'C', readonly=True), int64[::1], int64, {off}[::1], float32[::1],"
        " float32[:,::1], float32[:,::1], int64, int64)"
        for raw, off in DTYPES.items()
    ],
)
def decimate_rows(
    flat: Any,
    begins: Any,
    n_raw: int,
    offset: Any,
    scale: Any,
    phases: Any,
    out: Any,
    at: int,
    n_out: int,
) -> None:
    """Filter and decimate the rows that lie at flat[begins[r] : begins[r] + n_raw].

    ``phases[p, q]`` is the tap of source sample q * k + p. The taps that reach beyond the end
    of a row are the zeros that pad the phases. Outputs go to ``out[r, at : at + n_out]``.
    """
    k, n_taps = phases.shape
    tile = max(_TILE // k, 64)
    longest = min(tile, n_out)
    buffer = np.empty((k, longest + n_taps), np.float32)
    acc = np.empty(longest, np.float32)
    for r in range(begins.shape[0]):
        for begin in range(0, n_out, tile):
            sums = acc[: min(tile, n_out - begin)]
            n = sums.shape[0]
            _split(flat[begins[r] + begin * k : begins[r] + n_raw], offset[r], buffer, n + n_taps)
            sums[:] = np.float32(0)
            for p in range(k):
                _add_taps(buffer[p], phases[p], sums)
            target = out[r, at + begin : at + begin + n]
            for i in range(n):
                target[i] = sums[i] * scale[r]
