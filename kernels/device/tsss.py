"""Device twin of `brainforge.kernels.tsss`: two passes over the window, the rest at home.

For every set of channels that can be believed together one Gram matrix comes home, or the samples
where they are few.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from brainforge.kernels.field_split import FieldSplit
from brainforge.kernels.namespace import namespace, to_device, to_host
from brainforge.kernels.rows import compact, take_rows
from brainforge.kernels.tsss import TILE, Cleaned, check_window
from brainforge.kernels.tsss_solve import Pattern, patterns_of, solve_window


def tsss_window(
    data: Any,
    split: FieldSplit,
    good: Any = None,
    *,
    correlation: float = 0.98,
    min_samples: int | None = None,
    n_threads: int = 1,
) -> Cleaned:
    """Twin of `brainforge.kernels.tsss.tsss_window`; ``good`` and ``usable`` are on the host."""
    check_window(data, split, good, correlation)
    xp, n_samples = namespace(data), data.shape[1]
    patterns, usable = patterns_of(split, good, n_samples)
    parts = [_part(data, p) for p in patterns]
    sums = [
        to_host(part).astype(np.float64) if p.few else to_host(_gram(part))
        for p, part in zip(patterns, parts)
    ]
    solved = solve_window(split, patterns, sums, correlation, min_samples)
    pieces = []
    for pattern, part, found in zip(patterns, parts, solved.found):
        small = to_device(found.astype(np.float32), like=data)
        pieces.append(small if pattern.few else xp.matmul(small, part))
    columns = [p.columns for p in patterns]
    lost = np.flatnonzero(~usable)
    if len(lost) or not pieces:
        pieces.append(xp.zeros((data.shape[0], len(lost)), dtype=xp.float32, device=data.device))
        columns.append(lost)
    if len(pieces) == 1:
        return Cleaned(pieces[0], solved.n_removed, solved.temporal, usable)
    back = to_device(np.argsort(np.concatenate(columns)), like=data)
    joined = xp.take(xp.concat(pieces, axis=1), back, axis=1)
    return Cleaned(joined, solved.n_removed, solved.temporal, usable)


def _part(data: Any, pattern: Pattern) -> Any:
    part = take_rows(data, compact(pattern.rows))
    columns = compact(pattern.columns)
    if isinstance(columns, slice):
        return part[:, columns]
    return namespace(data).take(part, to_device(columns, like=data), axis=1)


def _gram(part: Any) -> Any:
    """Return sums of products in float64: what is left of strong interference is small."""
    xp, n = namespace(part), part.shape[0]
    total = xp.zeros((n, n), dtype=xp.float64, device=part.device)
    for at in range(0, part.shape[1], TILE):
        tile = xp.astype(part[:, at : min(at + TILE, part.shape[1])], xp.float64)
        total = total + xp.matmul(tile, xp.permute_dims(tile, (1, 0)))
    return total
