"""How a peer's seconds go on where it is not run: beyond 10 minutes or 306 channels."""

from __future__ import annotations

import math
from typing import Any

from benchmarks.targets import judge

Row = dict[str, Any]
Extrapolated = tuple[float, str]


def fill(rows: list[Row]) -> list[Row]:
    """Return rows with the peers that were not run extrapolated, ratios and targets with them.

    Along the length a straight line through the two longest recordings, along the channels a
    power law through the two largest arrays. Rows that nothing can be said of keep no peer.
    """
    measured = [row for row in rows if row["peer"]["measured"]]
    return [row if row["peer"]["measured"] else _filled(row, measured) for row in rows]


def _filled(row: Row, measured: list[Row]) -> Row:
    alike = [m for m in measured if m["name"] == row["name"]]
    found = along_length(row, alike) or along_channels(row, alike)
    seconds, law = found or (None, "not run, and nothing to extrapolate from")
    ratio = {
        t: seconds / timing["wall_s"]
        for t, timing in row["ours"]["by_threads"].items()
        if seconds is not None
    }
    peer = {**row["peer"], "wall_s": seconds, "extrapolated": True, "law": law}
    new = {**row, "peer": peer, "ratio": ratio}
    return {**new, "target": judge(new)}


def along_length(row: Row, alike: list[Row]) -> Extrapolated | None:
    """Return seconds and the law from shorter recordings of as many channels."""
    points = _points(row, alike, "minutes", "n_channels")
    if not points:
        return None
    at = row["minutes"]
    if len(points) == 1:
        ((x, y),) = points
        return y * at / x, f"in proportion to {x:g} min"
    (x0, y0), (x1, y1) = points[-2:]
    slope = max(y1 - y0, 0.0) / (x1 - x0)
    return y1 + slope * (at - x1), f"line through {x0:g} and {x1:g} min"


def along_channels(row: Row, alike: list[Row]) -> Extrapolated | None:
    """Return seconds and the law from fewer channels of the same length."""
    points = _points(row, alike, "n_channels", "minutes")
    if len(points) < 2:
        return None
    (x0, y0), (x1, y1) = points[-2:]
    power = min(max(math.log(y1 / y0) / math.log(x1 / x0), 0.0), 3.0)
    law = f"power law through {x0:g} and {x1:g} channels, exponent {power:.2f}"
    return y1 * (row["n_channels"] / x1) ** power, law


def _points(row: Row, alike: list[Row], along: str, fixed: str) -> list[tuple[float, float]]:
    return sorted(
        (m[along], m["peer"]["wall_s"])
        for m in alike
        if m[fixed] == row[fixed] and m[along] < row[along]
    )
