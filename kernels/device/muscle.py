"""Device twin of `brainforge.kernels.muscle`: both filters as one, by the decimator."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from brainforge.kernels.decimate import polyphase
from brainforge.kernels.device.decimate import decimate
from brainforge.kernels.muscle import PER_WINDOW, MusclePlan, check_windows
from brainforge.kernels.namespace import namespace


def window_amplitude(
    raw: Any,
    plan: MusclePlan,
    n_windows: int,
    *,
    first: int = 0,
    rows: npt.ArrayLike | None = None,
    offset: npt.ArrayLike = 0.0,
    scale: npt.ArrayLike = 1.0,
    n_threads: int = 1,
) -> Any:
    """Twin of `brainforge.kernels.muscle.window_amplitude`; the parameters are host arrays."""
    check_windows(raw, plan, n_windows, first)
    xp = namespace(raw)
    y = decimate(
        raw,
        polyphase(plan.taps, plan.decim),
        n_windows * PER_WINDOW,
        first=first,
        rows=rows,
        offset=offset,
        scale=scale,
    )
    y = xp.reshape(y, (y.shape[0], n_windows, PER_WINDOW))
    return xp.sqrt(xp.mean(y * y, axis=2))
