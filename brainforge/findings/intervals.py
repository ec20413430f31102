"""95 % intervals that assume no distribution."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
_SEED = 20200409
_DRAWS = 1000


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
    from scipy.stats import binom

    lower = int(binom.ppf(0.025, n, 0.5))
    lower = min(max(lower - 1, 0), (n - 1) // 2)
    return float(ordered[lower]), float(ordered[n - 1 - lower])
