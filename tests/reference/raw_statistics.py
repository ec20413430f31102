"""Raw statistics a sample at a time."""

from __future__ import annotations

import numpy as np


def raw_statistics_reference(row, rails=(np.nan, np.nan)):
    """Return the statistics of one whole channel as a dict."""
    finite = [float(v) for v in row if np.isfinite(v)]
    squares, n_diff, run, longest = 0.0, 0, 0, 0
    last = np.nan
    for v in map(float, row):
        if np.isfinite(v) and np.isfinite(last):
            squares += (v - last) ** 2
            n_diff += 1
        run = run + 1 if v == last else int(np.isfinite(v))
        longest, last = max(longest, run), v
    known = np.isfinite(rails).all()
    return {
        "n": len(finite),
        "lowest": min(finite, default=np.inf),
        "highest": max(finite, default=-np.inf),
        "total": sum(finite),
        "n_diff": n_diff,
        "diff_squares": squares,
        "railed": sum(v <= rails[0] or v >= rails[1] for v in finite) if known else None,
        "flat_run": longest,
        "non_finite": len(row) - len(finite),
    }
