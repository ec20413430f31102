"""Left-right asymmetry of band power between sensors that mirror each other."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.finding import Finding
from brainforge.findings.geometry import head_positions
from brainforge.findings.intervals import bootstrap_interval
from brainforge.findings.regions import regions
from brainforge.findings.sites import preferred_kind, sites_of
from brainforge.info import Info
from brainforge.result import BandPower

Floats = npt.NDArray[np.float64]
_MIN_PAIRS = 5
#: a mirror partner may be this far from the mirrored place (m)
_TOLERANCE = 0.025
#: sites nearer to the middle than this belong to neither side (m)
_MIDDLE = 0.01
METHOD = (
    "ln(right power) - ln(left power), mean over pairs of sensors that mirror each other "
    "across the head's midline within 2.5 cm (log asymmetry as in Allen et al. 2004, Biol "
    "Psychol 67:183); interval: bootstrap over pairs (Efron & Tibshirani 1993)"
)


def mirror_pairs(positions: Floats) -> list[tuple[int, int]]:
    """Return (left, right) rows of sensors that are each other's nearest mirror image.

    Parameters
    ----------
    positions : float64 array, axes (sensor, xyz)
        Head frame, metres; rows with NaN are left out.
    """
    known = np.isfinite(positions).all(axis=1)
    left = np.flatnonzero(known & (positions[:, 0] < -_MIDDLE))
    right = np.flatnonzero(known & (positions[:, 0] > _MIDDLE))
    if not len(left) or not len(right):
        return []
    mirrored = positions[left] * np.array([-1.0, 1.0, 1.0])
    apart = np.linalg.norm(mirrored[:, None] - positions[right][None], axis=2)
    to_right, to_left = apart.argmin(axis=1), apart.argmin(axis=0)
    return [
        (int(left[i]), int(right[j]))
        for i, j in enumerate(to_right)
        if to_left[j] == i and apart[i, j] <= _TOLERANCE
    ]


def asymmetry(
    power: BandPower, info: Info, *, evidence: tuple[float, float] | None = None
) -> Finding:
    """Give the log power asymmetry ln(R/L): alpha as the value, every band in ``details``.

    Abstains without sensor positions on the head or with fewer than five mirror pairs.
    """
    kind = preferred_kind(info, power.channel_names)
    if kind is None:
        return _abstain("There is no brain channel.", evidence)
    sites = sites_of(info, power.channel_names, kind)
    positions = head_positions(info, sites.names)
    if positions is None:
        return _abstain(
            "Where the sensors are about the head is not known, so sides cannot be compared.",
            evidence,
        )
    with np.errstate(divide="ignore", invalid="ignore"):
        log_power = np.log(sites.power(power.channel_names, power.absolute))
    pairs = mirror_pairs(positions)
    left, right = (np.array([p[k] for p in pairs], dtype=int) for k in (0, 1))
    difference = log_power[:, right] - log_power[:, left]
    usable = np.isfinite(difference).all(axis=0)
    if usable.sum() < _MIN_PAIRS:
        return _abstain(
            f"Only {int(usable.sum())} pairs of mirrored sensors are usable; {_MIN_PAIRS} are "
            "needed.",
            evidence,
        )
    where = regions(info, sites.names)
    place = [where.get(sites.names[i], "") for i in left[usable]]
    by_band = _by_band(list(power.bands), difference[:, usable], place)
    details = {
        "bands": by_band,
        "kind": kind,
        "n_pairs": int(usable.sum()),
        "head_offset_mm": _sideways(info),
    }
    return _state(by_band, details, evidence)


def _by_band(bands: list[str], difference: Floats, place: list[str]) -> dict[str, dict[str, Any]]:
    out: dict[str, dict[str, Any]] = {}
    for b, band in enumerate(bands):
        interval = bootstrap_interval(difference[b], np.mean)
        regional = {
            r: float(np.mean(difference[b, [p == r for p in place]]))
            for r in dict.fromkeys(p for p in place if p)
        }
        out[band] = {
            "value": float(difference[b].mean()),
            "interval": interval,
            "regions": {r.removeprefix("left_"): v for r, v in regional.items()},
        }
    return out


def _sideways(info: Info) -> float:
    """Return how far right of the helmet's middle the head lies, mm."""
    trans = np.asarray(info.dev_head_t, dtype=np.float64)
    return float(1000 * (-trans[:3, :3].T @ trans[:3, 3])[0])


def _state(
    by_band: dict[str, dict[str, Any]],
    details: dict[str, Any],
    evidence: tuple[float, float] | None,
) -> Finding:
    band = "alpha" if "alpha" in by_band else next(iter(by_band))
    value = float(by_band[band]["value"])
    interval = by_band[band]["interval"]
    percent = 100 * (np.exp(abs(value)) - 1)
    if interval is None or interval[0] <= 0 <= interval[1]:
        text = f"{band.capitalize()} power shows no clear difference between the sides"
    else:
        side = "right" if value > 0 else "left"
        text = f"{band.capitalize()} power is {percent:.0f} % higher over the {side} side"
    text += f" ({details['n_pairs']} mirrored pairs of sensors)"
    offset = float(details["head_offset_mm"])
    if abs(offset) >= 5:
        side = "right" if offset > 0 else "left"
        text += f"; the head lay {abs(offset):.0f} mm to the {side} in the helmet"
    return Finding(
        "asymmetry",
        f"{band.capitalize()} asymmetry",
        value,
        "ln(R/L)",
        text + ".",
        uncertainty=interval,
        evidence=evidence,
        details=details,
        method=METHOD,
    )


def _abstain(text: str, evidence: tuple[float, float] | None) -> Finding:
    return Finding(
        "asymmetry", "Left-right asymmetry", None, "ln(R/L)", text, evidence=evidence, method=METHOD
    )
