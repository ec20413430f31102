"""Packed spectra with each channel's epochs in another order and turned in phase."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.errors import KernelInputError
from brainforge.kernels.connectivity.layout import LANES, n_blocks
from brainforge.kernels.dispatch import kernel
from brainforge.kernels.jit import lazy_jit
from brainforge.kernels.parallel import parallel_map
from brainforge.kernels.surrogates import EpochDraw


@lazy_jit(
    [
        "void(Array(float32, 4, 'C', readonly=True), Array(int64, 2, 'C', readonly=True), "
        "Array(float32, 3, 'C', readonly=True), float32[:, :, :, ::1])"
    ]
)
def _shuffle(spectra: Any, order: Any, turn: Any, out: Any) -> None:
    """Fill out (block, epoch, row, lane); order (channel, epoch), turn (channel, epoch, re/im)."""
    for c in range(order.shape[0]):
        block, lane = c // LANES, c % LANES
        for e in range(order.shape[1]):
            source, to = spectra[block, order[c, e]], out[block, e]
            u, v = turn[c, e, 0], turn[c, e, 1]
            for k in range(source.shape[0] // 2):
                re, im = source[2 * k, lane], source[2 * k + 1, lane]
                to[2 * k, lane] = re * u - im * v
                to[2 * k + 1, lane] = re * v + im * u


@kernel(
    device="brainforge.kernels.device.shuffle:shuffled",
    tolerance=1e-6,
    takes={"chunk": "float32 (frequency, block, epoch, row, lane)"},
)
def shuffled(
    chunk: npt.NDArray[np.float32], draw: EpochDraw, *, n_threads: int = 1
) -> npt.NDArray[np.float32]:
    """Return packed spectra whose channels no longer belong to the same epochs.

    Parameters
    ----------
    chunk : float32 array, C order, axes (frequency, block of channels, epoch, 2 * taper, lane)
        See `brainforge.kernels.connectivity.fourier`.
    draw : EpochDraw
        For as many channels and epochs as count; the rest of the chunk becomes zero.
    n_threads : int

    Returns
    -------
    float32 array, shape of ``chunk``

    Raises
    ------
    KernelInputError
        Where the draw asks for more channels or epochs than the chunk holds.
    """
    check_draw(chunk.shape, draw)
    out = np.zeros(chunk.shape, dtype=np.float32)
    packed = np.ascontiguousarray(chunk, dtype=np.float32)
    turn = draw.turn.view(np.float32).reshape(*draw.turn.shape, 2)
    parallel_map(
        lambda f: _shuffle(packed[f], draw.order, turn, out[f]), range(len(packed)), n_threads
    )
    return out


def check_draw(shape: tuple[int, ...], draw: EpochDraw) -> None:
    """Raise KernelInputError unless a chunk of this shape holds what a draw asks for."""
    n_channels, n_epochs = draw.order.shape
    if len(shape) != 5 or shape[1] != n_blocks(n_channels) or shape[4] != LANES:
        raise KernelInputError(
            where="chunk",
            expected=f"frequency x {n_blocks(n_channels)} blocks x epoch x row x {LANES} lanes",
            got=f"shape {shape}",
        )
    if n_epochs > shape[2]:
        raise KernelInputError(
            where="draw", expected=f"at most {shape[2]} epochs", got=str(n_epochs)
        )
