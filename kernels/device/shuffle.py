"""Device twin of `brainforge.kernels.connectivity.shuffle`."""

from __future__ import annotations

from typing import Any

import numpy as np

from brainforge.kernels.connectivity.layout import LANES, n_blocks
from brainforge.kernels.connectivity.shuffle import check_draw
from brainforge.kernels.namespace import namespace, to_device
from brainforge.kernels.surrogates import EpochDraw


def shuffled(chunk: Any, draw: EpochDraw, *, n_threads: int = 1) -> Any:
    """Twin of `brainforge.kernels.connectivity.shuffle.shuffled`; the draw is on the host."""
    check_draw(tuple(chunk.shape), draw)
    xp = namespace(chunk)
    if 0 in chunk.shape:
        return chunk
    n_bins, blocks, epochs, rows, lanes = chunk.shape
    order, turn = _padded(draw, epochs)
    # where each (block, epoch, row, lane) comes from
    where = ((np.arange(blocks)[:, None, None, None] * epochs + order[:, :, None, :]) * rows
             + np.arange(rows)[:, None]) * lanes + np.arange(lanes)  # fmt: skip
    flat = xp.reshape(chunk, (n_bins, -1))
    at = to_device(where.reshape(-1).astype(np.int64), like=chunk)
    gathered = xp.reshape(xp.take(flat, at, axis=1), (n_bins, blocks, epochs, rows // 2, 2, lanes))
    re, im = gathered[..., 0, :], gathered[..., 1, :]
    u, v = (
        to_device(np.ascontiguousarray(part[:, :, None, :]), like=chunk)
        for part in (turn.real, turn.imag)
    )
    turned = xp.stack([re * u - im * v, re * v + im * u], axis=-2)
    return xp.reshape(turned, chunk.shape)


def _padded(draw: EpochDraw, epochs: int) -> tuple[Any, Any]:
    """Return the order and the turn as (block, epoch, lane); what does not count is times zero."""
    n_channels, n_epochs = draw.order.shape
    blocks = n_blocks(n_channels)
    order = np.zeros((blocks * LANES, epochs), dtype=np.int64)
    turn = np.zeros((blocks * LANES, epochs), dtype=np.complex64)
    order[:n_channels, :n_epochs] = draw.order
    turn[:n_channels, :n_epochs] = draw.turn
    shape = (blocks, LANES, epochs)
    return order.reshape(shape).transpose(0, 2, 1), turn.reshape(shape).transpose(0, 2, 1)
