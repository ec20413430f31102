"""What was found in a simulated recording beside what was planted in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from brainforge.result import Connectivity, EventTrain, Result

#: what the pipeline calls a channel with a planted fault
REASONS: Final = {"dead": "flat", "railing": "railed"}
#: seconds that an event found may lie beside the planted one
TOLERANCE_S: Final = {"heartbeats": 0.1, "blinks": 0.3}
#: couplings between sensors that are closer see the same source in both
MIN_DISTANCE_M: Final = 0.08
MEASURE: Final = "wpli2_debiased"
#: an edge stands out when no larger share of all edges is stronger
TOP_SHARE: Final = 0.02


@dataclass(frozen=True)
class Check:
    """One planted thing: what was planted, what was found, and whether that agrees."""

    what: str
    planted: str
    found: str
    ok: bool


def compare(truth: dict[str, Any], result: Result) -> tuple[Check, ...]:
    """Compare a result with the truth of the phantom it was made from.

    Parameters
    ----------
    truth : dict
        As `brainforge.datasets.Phantom.truth` gives it.
    result : Result

    Returns
    -------
    tuple of Check
        Bad channels, heartbeats, blinks and couplings, as far as the recipe looked for them.
    """
    checks = [*_bad_channels(truth, result)]
    if result.artifacts is not None:
        for name, train in (
            ("heartbeats", result.artifacts.ecg),
            ("blinks", result.artifacts.eog),
        ):
            checks.append(_events(name, truth, train))
    if result.connectivity is not None and MEASURE in result.connectivity.values:
        checks += _couplings(truth, result.connectivity)
    return tuple(checks)


def _bad_channels(truth: dict[str, Any], result: Result) -> Iterator[Check]:
    found: dict[str, list[str]] = {}
    for bad in result.quality.bads:
        found.setdefault(bad.name, []).append(bad.reason)
    for planted in truth["bad_channels"]:
        name, kind = planted["name"], planted["kind"]
        reasons = found.pop(name, [])
        yield Check(
            f"channel {name}", REASONS.get(kind, kind), ", ".join(reasons) or "–", bool(reasons)
        )
    others = ", ".join(found) or "none"
    yield Check("other bad channels", "none", others, not found)


def _events(name: str, truth: dict[str, Any], train: EventTrain) -> Check:
    planted = np.asarray(truth[name], dtype=float)
    found = np.asarray(train.samples, dtype=float)
    tolerance = TOLERANCE_S[name] * truth["phantom"]["sfreq"]
    hit = _near(planted, found, tolerance)
    extra = found.size - int(_near(found, planted, tolerance).sum())
    share = hit.mean() if hit.size else 1.0
    return Check(
        name,
        str(planted.size),
        f"{int(hit.sum())} of them" + (f", {extra} besides" if extra else ""),
        bool(share >= 0.9 and extra <= 0.1 * max(planted.size, 1)),
    )


def _near(
    these: npt.NDArray[np.float64], those: npt.NDArray[np.float64], tolerance: float
) -> npt.NDArray[np.bool_]:
    """Return which of ``these`` have one of ``those`` within ``tolerance``."""
    if not those.size:
        return np.zeros(these.size, dtype=bool)
    distance = np.abs(these[:, None] - np.sort(those)[None, :])
    return np.asarray(distance.min(axis=1) <= tolerance)


def _couplings(truth: dict[str, Any], found: Connectivity) -> Iterator[Check]:
    for pair in truth["couplings"]:
        share = _share_above(pair, found)
        if share is None or pair["distance_m"] < MIN_DISTANCE_M:
            continue
        yield Check(
            f"{pair['band']} coupling {' – '.join(pair['sensors'])}",
            f"{pair['strength']:.2f}",
            f"among the strongest {100 * share:.1f} % of edges",
            share <= TOP_SHARE,
        )


def _share_above(pair: dict[str, Any], found: Connectivity) -> float | None:
    """Return which share of all edges is at least as strong as that of a pair of sensors."""
    values = found.values[MEASURE].get(pair["band"])
    names = found.channel_names
    if values is None or not set(pair["sensors"]) <= set(names):
        return None
    edges = values[np.triu_indices(len(names), 1)]
    edges = edges[np.isfinite(edges)]
    own = values[names.index(pair["sensors"][0]), names.index(pair["sensors"][1])]
    return float(np.mean(edges >= own)) if edges.size and np.isfinite(own) else None
