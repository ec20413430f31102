"""The absolute grid that every stream is re-cut onto, so that its cutting cannot matter."""

from __future__ import annotations

#: length of a block of the grid in seconds, about
BLOCK_S = 10.0
#: a sharp filter's length in seconds; recordings shorter than three of them run recipe `short`
FILTER_S = 3.3
SHORTEST_FULL_S = 3 * FILTER_S
#: below this nothing can be said at all
SHORTEST_S = 1.0


def decimation(sfreq: float, working_rate_min: float) -> int:
    """Return the largest k that leaves at least ``working_rate_min`` Hz, at least 1."""
    return max(int(sfreq / working_rate_min + 1e-9), 1)


def grid_size(sfreq: float, decim: int) -> int:
    """Return the block length in source samples: a multiple of ``decim``, about 10 s."""
    return decim * max(round(BLOCK_S * sfreq / decim), 1)
