"""Event-locked averages of a few traces, where the traces are; only the averages come home."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from brainforge.kernels.band_limit import band_limit
from brainforge.kernels.event_sums import add_stretches
from brainforge.kernels.namespace import to_device, to_host
from brainforge.kernels.peaks import whole_windows
from brainforge.learners.traces import Index, Traces

Floats = npt.NDArray[np.float64]

#: seconds around the lags for the low-pass to settle
PAD = 0.15


def locked_halves(
    traces: Traces, events: Index, sfreq: float, lags: tuple[float, float], h_freq: float
) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Return the averages of even and of odd events, and how many events each rests on.

    Parameters
    ----------
    traces : Traces
    events : int array, axes (event,)
        Columns; those without a whole stretch in one run are left out.
    sfreq : float
    lags : (first, last) in seconds
    h_freq : float
        Low-pass in Hz.

    Returns
    -------
    halves : float64 array, axes (even/odd, trace, lag)
        0 where there is no event.
    counts : int64 array, axes (even/odd,)
    """
    before, after = round((PAD - lags[0]) * sfreq), round((PAD + lags[1]) * sfreq)
    kept = whole_windows(np.asarray(events, dtype=np.int64), before, after, traces.runs)
    begins, half = events[kept] - before, np.arange(len(kept)) % 2
    n_traces = traces.x.shape[0]
    sums = to_device(np.zeros((2, n_traces, before + after)), like=traces.x)
    add_stretches(traces.x, np.arange(n_traces), begins, half, sums)
    counts = np.bincount(half, minlength=2)
    halves = to_host(sums) / np.maximum(counts, 1)[:, None, None]
    pad = round(PAD * sfreq)
    return band_limit(halves, sfreq, 0.0, h_freq)[..., pad:-pad], counts
