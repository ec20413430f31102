"""Quality: how much of the recording can be used, and what spoils the rest."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.finding import Finding
from brainforge.findings.wording import percent
from brainforge.result import Quality

METHOD = (
    "Share of the time axis holding believed samples times the share of channels kept; "
    "a count, so without an interval. Mains: power at the line over its neighbouring bins; "
    "noise floor: amplitude density; both median over the channels kept"
)


def _median(values: npt.NDArray[np.floating]) -> float | None:
    finite = np.asarray(values, dtype=np.float64)
    finite = finite[np.isfinite(finite)]
    return float(np.median(finite)) if len(finite) else None


def quality(quality: Quality, *, evidence: tuple[float, float] | None = None) -> Finding:
    """Give the usable share of the recording in percent.

    ``details``: ``coverage``, ``bad_by_reason``, ``line_db``, and by unit ``noise_floor``
    (unit/sqrt(Hz)). Abstains where there is no channel.
    """
    names = quality.channel_names
    base: dict[str, Any] = {"name": "quality", "title": "Usable data", "unit": "%"}
    if not names:
        return Finding(
            **base, value=None, text="There is no channel.", evidence=evidence, method=METHOD
        )
    bad = {b.name for b in quality.bads} & set(names)
    kept = np.array([n not in bad for n in names])
    share = quality.coverage * kept.mean()
    reasons = Counter(b.reason for b in quality.bads)
    mains = _median(quality.line_db[kept])
    floors = {
        unit: floor
        for unit in dict.fromkeys(quality.units)
        if (floor := _median(quality.noise_floor[kept & (np.array(quality.units) == unit)]))
        is not None
    }
    text = (
        f"{percent(share, 1)} of the channel time can be used: {len(bad)} of {len(names)} "
        "channels bad"
    )
    if reasons:
        text += " (" + ", ".join(f"{n} {r.replace('_', ' ')}" for r, n in reasons.items()) + ")"
    text += f", {percent(quality.coverage, 1)} of the time covered"
    if mains is not None and quality.line_freq:
        text += f"; mains at {quality.line_freq:g} Hz stand {mains:.0f} dB over their neighbours"
    return Finding(
        **base,
        value=float(100 * share),
        text=text + ".",
        evidence=evidence,
        details={
            "coverage": quality.coverage,
            "bad_by_reason": dict(reasons),
            "n_channels": len(names),
            "line_db": mains,
            "noise_floor": floors,
        },
        method=METHOD,
    )
