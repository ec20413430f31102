"""Device twin of `brainforge.kernels.connectivity.finish`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from brainforge.kernels.connectivity.finish_rows import MEASURES
from brainforge.kernels.connectivity.layout import n_pairs, pair_rows
from brainforge.kernels.device.launch import launch
from brainforge.kernels.device.sums import add_epochs, wanted
from brainforge.kernels.namespace import namespace, to_device

_THREADS: Final = 256


def band_means(
    power: Any,
    values: Any,
    n_epochs: int,
    names: tuple[str, ...],
    bands: Sequence[Any],
    rows: tuple[str, ...],
    pending: tuple[Any, int] | None = None,
    *,
    n_threads: int = 1,
) -> Any:
    """Twin of `brainforge.kernels.connectivity.finish.band_means`; ``bands`` are on the host."""
    xp, n_channels = namespace(power), power.shape[1]
    pairs = n_pairs(n_channels)
    shape = (power.shape[0], len(names), pairs)
    if values is None:
        values = xp.zeros(shape, dtype=xp.float64, device=power.device)
    elif pending is not None:
        values = xp.asarray(values, copy=True)
    if pending is not None:
        power = xp.asarray(power, copy=True)
        add_epochs(pending[0], pending[1], values, power, names)
        n_epochs += pending[1]
    means = xp.empty((len(bands), len(rows), pairs), dtype=xp.float32, device=power.device)
    if not pairs or not len(bands) or not rows:
        return means
    order = tuple(sorted(rows, key=MEASURES.index))
    small = (
        *pair_rows(n_channels),
        np.concatenate([np.asarray(bins) for bins in bands]),
        np.cumsum([0, *(len(bins) for bins in bands)]),
    )
    launch(
        "finish_pairs",
        "finish_pairs",
        (-(-pairs // _THREADS), len(bands)),
        (_THREADS,),
        (
            values, power, *(to_device(a.astype(np.int32), like=power) for a in small),
            np.int32(n_channels), np.int64(pairs), np.int32(n_epochs), means,
        ),
        like=power,
        constants={"WANTED": wanted(names), "MEASURES": sum(1 << MEASURES.index(r) for r in rows)},
    )  # fmt: skip
    if order == rows:
        return means
    at = to_device(np.array([order.index(row) for row in rows]), like=means)
    return xp.take(means, at, axis=1)
