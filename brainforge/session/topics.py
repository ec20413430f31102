"""How large the pipeline's snapshots may become, topic by topic."""

from __future__ import annotations

from brainforge.info import Info
from brainforge.units import MEG_KINDS

#: for the words of a snapshot, and what each channel's name, unit and place take of them
WORDS, A_CHANNEL = 1 << 17, 512


def topic_sizes(info: Info) -> dict[str, int]:
    """Return the topics of ``pipeline.feed`` with the largest size of a snapshot in bytes."""
    n = len(info.names_of(*MEG_KINDS))
    words = WORDS + A_CHANNEL * info.n_channels
    pairs = n * (n - 1) // 2
    return {
        "layout": words + 512 * n,
        # half a second at the working rate, which stays below 500 Hz, or at a low source rate
        "traces": words + 4 * info.n_channels * 512,
        "spectra": words + 8 * n * 512,
        "topographies": words + 8 * n * 64,
        # a few measures of up to eight bands
        "connectivity": words + 4 * pairs * 8 * 4,
        # up to sixteen kinds of triggers
        "averages": words + 4 * n * 1024 * 16,
        "status": words,
        "beat": 4096,
    }
