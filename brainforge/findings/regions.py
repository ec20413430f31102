"""Regions of the head by sensor position.

The rule, on directions from the helmet's centre in the head frame (polar angle p from the
vertex, azimuth a from the nose, degrees):

1. ``frontal``: |a| < 62 and p >= 45.
2. ``left_temporal`` / ``right_temporal``: 62 <= |a| < 127 and p >= 57, by the sign of x.
3. ``occipital``: |a| >= 127 and p >= 57 (right behind, |a| >= 145, from p >= 52).
4. ``parietal``: what is left with |a| >= 100 and p >= 20.
5. ``central``: the rest.

It says over which part of the head a sensor is; a source need not lie under its sensor.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from brainforge.findings.geometry import directions, head_positions
from brainforge.info import Info

#: in the order in which maps and matrices show them
REGIONS = ("frontal", "left_temporal", "central", "right_temporal", "parietal", "occipital")


def region_label(region: str) -> str:
    """Return a region's name for a reader, e.g. ``"left temporal"``."""
    return region.replace("_", " ")


def region_of(polar: float, azimuth: float) -> str:
    """Return the region of one direction (degrees), by the rule of this module."""
    side = abs(azimuth)
    if side < 62 and polar >= 45:
        return "frontal"
    if 62 <= side < 127 and polar >= 57:
        return "left_temporal" if azimuth < 0 else "right_temporal"
    if side >= 127 and polar >= (52 if side >= 145 else 57):
        return "occipital"
    if side >= 100 and polar >= 20:
        return "parietal"
    return "central"


def regions(info: Info, names: Iterable[str]) -> dict[str, str]:
    """Return the region of every named channel whose place on the head is known.

    Parameters
    ----------
    info : Info
        Its ``dev_head_t`` has to be known; otherwise no channel has a region.
    names : iterable of str

    Returns
    -------
    dict of str to str
        Channel name to one of `REGIONS`; channels without position are left out.
    """
    picked = tuple(names)
    positions = head_positions(info, picked)
    if positions is None:
        return {}
    _, polar, azimuth = directions(positions)
    return {
        name: region_of(float(p), float(a))
        for name, p, a in zip(picked, polar, azimuth)
        if np.isfinite(p)
    }
