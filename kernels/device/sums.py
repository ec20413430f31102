"""Device twin of `brainforge.kernels.connectivity.sums`: one CUDA pass over pairs and bins."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from brainforge.kernels.connectivity.layout import LANES, SUMS
from brainforge.kernels.connectivity.sums import check_sums
from brainforge.kernels.device.launch import launch
from brainforge.kernels.namespace import contiguous, namespace

#: channels i and j of a tile, as in pairs.cu
_TILE_I, _TILE_J = 32, 64
#: float32 of shared memory; 48 KiB is what every device grants
_WORDS: Final = 12_000


def wanted(names: tuple[str, ...]) -> int:
    """Return sums as the bits that the CUDA sources know them by."""
    return sum(1 << SUMS.index(name) for name in names)


def add_epochs(
    chunk: Any,
    n_epochs: int,
    values: Any,
    power: Any,
    names: tuple[str, ...],
    *,
    n_threads: int = 1,
) -> None:
    """Twin of `brainforge.kernels.connectivity.sums.add_epochs`."""
    check_sums(chunk, n_epochs, values, power, names)
    n_bins, n_channels = power.shape
    if not n_epochs or not n_bins or not n_channels:
        return
    xp = namespace(chunk)
    some = chunk[:, :, :n_epochs, :, :]
    squares = xp.sum(some * some, axis=(2, 3), dtype=xp.float64)
    power[...] = power + xp.reshape(squares, (n_bins, -1))[:, :n_channels]
    if not names:
        return
    n_tapers = chunk.shape[3] // 2
    rows = 3 if n_tapers == 1 else 2 * n_tapers
    epochs = max(min(16, _WORDS // (rows * (_TILE_I + _TILE_J))), 1)
    launch(
        "pairs",
        "pair_sums",
        (-(-n_channels // _TILE_I), -(-n_channels // _TILE_J), n_bins),
        (LANES, 16),
        (
            contiguous(chunk), np.int32(n_channels), np.int64(chunk.shape[1]),
            np.int64(chunk.shape[2]), np.int32(n_epochs), values, np.int64(values.shape[2]),
        ),
        like=chunk,
        constants={"N_TAPERS": n_tapers, "EPOCHS": epochs, "WANTED": wanted(names)},
    )  # fmt: skip
