"""Band power by region, and slowing: how much of the power lies in the slow bands."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.finding import Finding
from brainforge.findings.intervals import bootstrap_interval
from brainforge.findings.regions import REGIONS, region_label, regions
from brainforge.findings.sites import Sites, preferred_kind, sites_of
from brainforge.findings.wording import percent
from brainforge.info import Info
from brainforge.result import BandPower

Floats = npt.NDArray[np.float64]
_MIN_SITES = 3
_SPREAD = "interval: bootstrap of the median over sites (Efron & Tibshirani 1993)"
METHOD_POWER = (
    "Welch power density integrated over each band; channels at one place averaged; share of "
    "the total over all bands, median over sites (regions: mean); " + _SPREAD
)
METHOD_SLOWING = (
    "(delta + theta) / (alpha + beta) of integrated band power per site, median over sites "
    "(the power ratio index of quantitative EEG, doi:10.1155/2021/5664647); " + _SPREAD
)


def _site_power(power: BandPower, info: Info) -> tuple[Sites, Floats] | None:
    """Return the sites that findings rest on and their absolute power, axes (band, site)."""
    kind = preferred_kind(info, power.channel_names)
    if kind is None:
        return None
    sites = sites_of(info, power.channel_names, kind)
    values = sites.power(power.channel_names, power.absolute)
    return (sites, values) if len(sites.members) else None


def _by_region(
    info: Info, sites: Sites, bands: list[str], absolute: Floats, share: Floats
) -> dict[str, dict[str, dict[str, float]]]:
    """Return figures over the sites of each region: region -> band -> figures.

    Absolute power is a median, shares are means, so that they add up to one.
    """
    where = regions(info, sites.names)
    out: dict[str, dict[str, dict[str, float]]] = {}
    for region in REGIONS:
        rows = [i for i, n in enumerate(sites.names) if where.get(n) == region]
        rows = [i for i in rows if np.isfinite(share[:, i]).all()]
        if rows:
            out[region] = {
                band: {
                    "absolute": float(np.median(absolute[b, rows])),
                    "relative": float(np.mean(share[b, rows])),
                    "n_sites": float(len(rows)),
                }
                for b, band in enumerate(bands)
            }
    return out


def band_power(
    power: BandPower, info: Info, *, evidence: tuple[float, float] | None = None
) -> Finding:
    """State which band holds most of the power, with absolute and relative power by region.

    ``details["regions"]`` maps region and band to ``absolute`` (unit squared) and
    ``relative`` (share, mean) over the sites; ``details["head"]`` holds the same for all
    sites. Without geometry only the latter is given.
    """
    base: dict[str, Any] = {"unit": "%", "evidence": evidence, "method": METHOD_POWER}
    found = _site_power(power, info)
    if found is None or np.isfinite(found[1]).all(axis=0).sum() < _MIN_SITES:
        text = f"Fewer than {_MIN_SITES} usable sensors hold power in every band."
        return Finding("band_power", "Dominant band", None, text=text, **base)
    sites, absolute = found
    bands = list(power.bands)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = absolute / absolute.sum(axis=0)
    middle = np.nanmedian(share, axis=1)
    top = int(np.argmax(middle))
    by_region = _by_region(info, sites, bands, absolute, share)
    edges = list(power.bands.values())
    low, high = edges[top]
    span = f"{min(e[0] for e in edges):g}-{max(e[1] for e in edges):g} Hz"
    text = (
        f"{bands[top].capitalize()} ({low:g}-{high:g} Hz) holds {percent(middle[top])} of the "
        f"power at {span} at the median sensor"
    )
    if by_region:
        best = max(by_region, key=lambda r: by_region[r][bands[top]]["relative"])
        part = by_region[best][bands[top]]["relative"]
        text += f", most over {region_label(best)} sensors ({percent(part)})"
    interval = bootstrap_interval(100 * share[top])
    head = {
        band: {"absolute": float(np.nanmedian(absolute[b])), "relative": float(middle[b])}
        for b, band in enumerate(bands)
    }
    details = {
        "band": bands[top],
        "kind": sites.kind,
        "unit": f"{_squared(sites.unit)}",
        "n_sites": len(sites.members),
        "head": head,
        "regions": by_region,
    }
    return Finding(
        "band_power",
        "Dominant band",
        float(100 * middle[top]),
        text=text + ".",
        uncertainty=interval,
        details=details,
        **base,
    )


def _squared(unit: str) -> str:
    return f"({unit})²" if "/" in unit else f"{unit}²"


def slowing(
    power: BandPower, info: Info, *, evidence: tuple[float, float] | None = None
) -> Finding:
    """Give the slowing ratio (delta + theta) / (alpha + beta), with its figure by region."""
    base: dict[str, Any] = {"unit": "", "evidence": evidence, "method": METHOD_SLOWING}
    name, title = "slowing_ratio", "Slowing ratio"
    needed = ("delta", "theta", "alpha", "beta")
    missing = [b for b in needed if b not in power.bands]
    if missing:
        text = f"The recipe computes no {' and no '.join(missing)} power."
        return Finding(name, title, None, text=text, **base)
    found = _site_power(power, info)
    if found is None:
        text = "There is no usable brain channel."
        return Finding(name, title, None, text=text, **base)
    sites, absolute = found
    delta, theta, alpha, beta = (absolute[list(power.bands).index(b)] for b in needed)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = (delta + theta) / (alpha + beta)
    ratio = np.where(np.isfinite(ratio), ratio, np.nan)
    if np.isfinite(ratio).sum() < _MIN_SITES:
        text = f"Fewer than {_MIN_SITES} usable sensors hold power in every band."
        return Finding(name, title, None, text=text, **base)
    value = float(np.nanmedian(ratio))
    where = regions(info, sites.names)
    by_region = {
        r: float(np.median(v))
        for r in REGIONS
        if len(v := ratio[[where.get(n) == r for n in sites.names] & np.isfinite(ratio)])
    }
    more = "more" if value > 1 else "less"
    text = f"Delta and theta together hold {more} power than alpha and beta (ratio {value:.2f})"
    if by_region:
        top = max(by_region, key=lambda r: by_region[r])
        text += f"; the ratio is highest over {region_label(top)} sensors ({by_region[top]:.2f})"
    return Finding(
        name,
        title,
        value,
        text=text + ".",
        uncertainty=bootstrap_interval(ratio),
        details={"regions": by_region, "kind": sites.kind, "n_sites": len(sites.members)},
        **base,
    )
