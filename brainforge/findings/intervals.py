"""95 % intervals that assume no distribution."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
_SEED = 20200409
_DRAWS = 1000
#: beyond so many values the binomial is taken as normal
_EXACT = 300


def bootstrap_interval(
    values: Floats, statistic: Callable[..., Floats] = np.median
) -> tuple[float, float] | None:
    """Return the percentile bootstrap 95 % interval of a statistic (Efron & Tibshirani 1993).

    1000 draws with a fixed seed, so that the same data give the same interval. None below
    three finite values. Sensors near each other see the same sources, so an interval drawn
    over sensors is the spread over the head rather than the error of a repetition.
    """
    finite = np.asarray(values, dtype=np.float64)
    finite = finite[np.isfinite(finite)]
    if len(finite) < 3:
        return None
    draws = np.random.default_rng(_SEED).integers(0, len(finite), (_DRAWS, len(finite)))
    low, high = np.percentile(statistic(finite[draws], axis=1), [2.5, 97.5])
    return float(low), float(high)


def median_interval(values: Floats) -> tuple[float, float] | None:
    """Return the 95 % interval of a median by order statistics (Conover 1999, section 3.2).

    The widest pair of order statistics is taken where even that holds less than 95 %
    (fewer than six values); None below three values.
    """
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    n = len(ordered)
    if n < 3:
        return None
    lower = min(_order_below(n), (n - 1) // 2)
    return float(ordered[lower]), float(ordered[n - 1 - lower])


def _order_below(n: int) -> int:
    """Return the index of the order statistic below which a median lies at most 2.5 % often."""
    if n > _EXACT:
        return max(0, math.floor(n / 2 - 0.98 * math.sqrt(n)) - 1)
    below, k = 0, 0
    while below + math.comb(n, k) <= 0.025 * 2**n:
        below += math.comb(n, k)
        k += 1
    return max(k - 1, 0)
