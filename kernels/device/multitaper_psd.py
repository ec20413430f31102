"""Device twin of `brainforge.kernels.multitaper_psd`."""

from __future__ import annotations

from typing import Any

from brainforge.kernels.device.psd import welch_sums
from brainforge.kernels.multitaper_psd import MultitaperPlan, check_plan


def multitaper_sums(
    x: Any, plan: MultitaperPlan, good: Any = None, *, n_threads: int = 1
) -> tuple[Any, Any]:
    """Twin of `brainforge.kernels.multitaper_psd.multitaper_sums`; ``good`` is a host array."""
    check_plan(plan, x.shape[1])
    power, count = welch_sums(x, plan.single(0), good)
    for k in range(1, plan.n_tapers):
        power = power + welch_sums(x, plan.single(k), good)[0]
    return power, count
