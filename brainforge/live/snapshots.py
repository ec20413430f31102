"""What is published of the immediate path: topics, when they are due, and how large they are.

`docs/feed.md` lists every key. Rates are driven by samples, not by the clock on the wall, so an
accelerated replay publishes the same snapshots.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from brainforge.info import Info
from brainforge.kernels.connectivity.layout import n_pairs
from brainforge.live.averages import Averages
from brainforge.recipe import Recipe
from brainforge.units import MEG_KINDS, SIGNAL_KINDS, working_unit

Meta = dict[str, Any]
Arrays = dict[str, npt.NDArray[Any]]

#: topic -> blocks of the live grid (50 ms) from one snapshot to the next, and which of them:
#: apart from each other, so that no block has to pay for all
DUE: Final[dict[str, tuple[int, int]]] = {
    "traces": (1, 0),
    "spectra": (5, 1),
    "topographies": (5, 2),
    "status": (5, 4),
    "connectivity": (10, 3),
    "averages": (20, 9),
    "layout": (100, 14),
}
#: seconds of cleaned signal in a snapshot of traces
TRACES_S: Final = 0.5


def due(topic: str, before: int, now: int) -> bool:
    """Return whether a topic is due between block ``before`` (it excluded) and block ``now``."""
    every, phase = DUE[topic]
    return (now - phase) // every > (before - phase) // every


def topic_sizes(recipe: Recipe, info: Info) -> dict[str, int]:
    """Return the largest size of a snapshot of every topic, in bytes, for `FeedWriter`.

    Parameters
    ----------
    recipe : Recipe
    info : Info
        Of the source.
    """
    n = len(info.names_of(*MEG_KINDS))
    n_all = len(info.names_of(*SIGNAL_KINDS))
    rate, live = 2 * recipe.filter.working_rate_min, recipe.live
    text = 65536 + 512 * n_all
    lags = int((live.epoch_tmax - live.epoch_tmin) * rate) + 2
    bands = len(recipe.bands)
    return {
        "layout": 2 * text,
        "traces": text + int(5 * n_all * (TRACES_S * rate + 2)),
        "spectra": text + 8 * n * 210 + 8 * 210,
        "topographies": text + 8 * bands * n,
        "connectivity": text + 12 * bands * n_pairs(n),
        "averages": text + 4 * live.max_conditions * n * lags + 8 * lags,
        "status": 2 * text,
    }


def layout_arrays(info: Info) -> Arrays:
    """Return positions (m) and orientations of the channels, axes (channel, xyz)."""
    return {
        "positions": info.positions().astype(np.float32),
        "orientations": info.orientations().astype(np.float32),
    }


def channels_of(info: Info) -> Meta:
    """Return names, kinds and units of some channels."""
    return {
        "names": list(info.names),
        "kinds": [c.kind for c in info.channels],
        "units": [working_unit(c.kind) for c in info.channels],
    }


def averages_meta(averages: Averages) -> Meta:
    """Return what is told of trigger-locked averages beside their arrays."""
    return {
        "conditions": [{"channel": c, "code": k} for c, k in averages.conditions],
        "n_epochs": list(averages.n_epochs),
        "epoch_coverage": averages.coverage,
    }


def medians(
    info: Info, bands: tuple[str, ...], power: npt.NDArray[np.float64], bads: set[str]
) -> dict[str, dict[str, float | None]]:
    """Return the median over the good channels of each kind, band by band; None where unknown.

    Parameters
    ----------
    info : Info
    bands : tuple of str
    power : float64 array, axes (channel, band)
    bads : set of str
    """
    out: dict[str, dict[str, float | None]] = {}
    for kind in dict.fromkeys(c.kind for c in info.channels):
        rows = [i for i, c in enumerate(info.channels) if c.kind == kind and c.name not in bads]
        known = power[rows][np.isfinite(power[rows]).all(axis=1)]
        middle = np.median(known, axis=0).tolist() if len(known) else [None] * len(bands)
        out[kind] = dict(zip(bands, middle, strict=True))
    return out
