"""Device twin of `brainforge.kernels.psd`."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from brainforge.kernels.device.constants import constant
from brainforge.kernels.device.scratch import batch
from brainforge.kernels.namespace import namespace, to_device
from brainforge.kernels.psd import (
    Segments,
    WelchPlan,
    check_inside,
    folded,
    kept_segments,
)
from brainforge.kernels.rows import compact, take_rows


class Windowed(Segments, Hashable, Protocol):
    """Segments with a window."""

    def taper(self) -> npt.NDArray[np.float64]:
        """Return the window, axes (sample,)."""


def window(plan: Windowed, like: Any) -> Any:
    """Return the window of a plan on the device, float32, axes (sample,)."""
    return constant(("window", plan), lambda: plan.taper().astype(np.float32), like)


def spectra(segments: Any, plan: WelchPlan) -> Any:
    """Return transforms of the windowed segments, their means taken off."""
    xp = namespace(segments)
    taper = window(plan, segments)
    return xp.fft.rfft((segments - xp.mean(segments, axis=-1, keepdims=True)) * taper, axis=-1)


def segment_power(
    x: Any,
    plan: WelchPlan,
    keep: Any,
    *,
    rows: Any = None,
    first: int = 0,
    before: Any = None,
    total: Any = None,
    n_threads: int = 1,
) -> Any:
    """Twin of `brainforge.kernels.psd.segment_power`; ``keep`` and ``rows`` are host arrays."""
    xp = namespace(x)
    rows = np.arange(x.shape[0]) if rows is None else rows
    n_before = 0 if before is None else before.shape[1]
    check_inside(x.shape, n_before, plan, keep, first, len(rows))
    if total is None:
        total = xp.zeros((len(rows), plan.n_per_seg), dtype=xp.float64, device=x.device)
    kept = np.flatnonzero(keep.any(axis=0))
    if not len(kept) or not len(rows):
        return total
    x = take_rows(x, compact(rows))
    if n_before:
        x = xp.concat([take_rows(before, compact(rows)), x], axis=1)
    begins = first + n_before + kept * plan.step
    size = batch(8 * len(rows) * plan.n_per_seg)
    for at in range(0, len(kept), size):
        some = slice(at, at + size)
        square = _squares(segments_at(x, begins[some], plan), keep[:, kept[some]], plan)
        total = total + xp.sum(square, axis=1, dtype=xp.float64)
    return total


def segments_at(x: Any, begins: Any, plan: Segments) -> Any:
    """Return the segments that begin at given samples, axes (channel, segment, sample)."""
    xp = namespace(x)
    n = plan.n_per_seg

    def make() -> npt.NDArray[np.int64]:
        return np.asarray((begins[:, None] + np.arange(n)).reshape(-1), dtype=np.int64)

    # blocks of the grid begin in the same few ways again and again
    at = constant(("segments", n, np.asarray(begins).tobytes()), make, x)
    return xp.reshape(xp.take(x, at, axis=1), (x.shape[0], len(begins), n))


def _squares(found: Any, keep: Any, plan: WelchPlan) -> Any:
    """Return squared transforms of segments over all frequencies, 0 for those not kept."""
    xp = namespace(found)
    if not keep.all():
        mask = to_device(keep, like=found)[..., None]
        found = xp.where(mask, found, xp.zeros_like(found))
    z = spectra(found, plan)
    square = xp.real(z) ** 2 + xp.imag(z) ** 2
    # the other half of the transform of a real signal mirrors this one
    return xp.concat(
        [square, xp.flip(square[..., 1 : (plan.n_per_seg + 1) // 2], axis=-1)], axis=-1
    )


def welch_sums(x: Any, plan: WelchPlan, good: Any = None, *, n_threads: int = 1) -> tuple[Any, Any]:
    """Twin of `brainforge.kernels.psd.welch_sums`; ``good`` is a host array."""
    keep = kept_segments(x, plan, good)
    power = segment_power(x, plan, keep)
    count = to_device(keep.sum(axis=1).astype(np.int64), like=x)
    return folded(power, plan), count
