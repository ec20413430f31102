"""Where sensors are about the head: head-frame positions, helmet centre and the flat map.

Head frame: x to the right ear, y to the nose, z up, metres (as MNE and MEGIN define it).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from brainforge.info import Info

Floats = npt.NDArray[np.float64]

#: centre assumed where the sensors cover too little for a sphere to be fitted (m)
DEFAULT_CENTRE = np.array([0.0, 0.0, 0.045])
_MIN_SENSORS = 20
_RADII = (0.07, 0.18)
_FAR_OFF = 0.05


def device_to_head(info: Info, positions: Floats) -> Floats:
    """Return positions (channel, xyz) in the head frame; unchanged without a transform."""
    if info.dev_head_t is None:
        return positions
    trans = np.asarray(info.dev_head_t, dtype=np.float64)
    return positions @ trans[:3, :3].T + trans[:3, 3]


def head_positions(info: Info, names: Iterable[str]) -> Floats | None:
    """Return positions in the head frame, axes (channel, xyz), metres; NaN where unknown.

    None where there is no transform to the head (an empty room, a helmet without
    co-registration) or no position at all: nothing may then be said by region.
    """
    positions = info.positions(names)
    if info.dev_head_t is None or not np.isfinite(positions).all(axis=1).any():
        return None
    return device_to_head(info, positions)


def helmet_centre(positions: Floats) -> Floats:
    """Return the centre of the sphere nearest to the sensors (metres).

    Least squares of |p|^2 = 2 p.c + k. Where fewer than 20 sensors are known, or the sphere
    is not a head's (radius outside 7-18 cm, centre over 5 cm from the usual one), the usual
    centre 4.5 cm above the line between the ears is returned.
    """
    known = positions[np.isfinite(positions).all(axis=1)]
    if len(known) < _MIN_SENSORS:
        return DEFAULT_CENTRE.copy()
    design = np.column_stack([2 * known, np.ones(len(known))])
    solution, _, rank, _ = np.linalg.lstsq(design, (known**2).sum(axis=1), rcond=None)
    centre = solution[:3]
    square = solution[3] + centre @ centre
    plausible = (
        rank == 4
        and _RADII[0] ** 2 < square < _RADII[1] ** 2
        and np.linalg.norm(centre - DEFAULT_CENTRE) < _FAR_OFF
    )
    return centre if plausible else DEFAULT_CENTRE.copy()


def directions(positions: Floats) -> tuple[Floats, Floats, Floats]:
    """Return unit directions from the helmet's centre, polar angle and azimuth in degrees.

    Polar angle is 0 at the vertex, azimuth 0 at the nose and positive to the right.
    """
    offset = positions - helmet_centre(positions)
    with np.errstate(invalid="ignore"):
        unit = offset / np.linalg.norm(offset, axis=1, keepdims=True)
        polar = np.degrees(np.arccos(np.clip(unit[:, 2], -1, 1)))
        azimuth = np.degrees(np.arctan2(unit[:, 0], unit[:, 1]))
    return unit, polar, azimuth


def flat_map(positions: Floats) -> Floats:
    """Return the azimuthal equidistant projection, axes (channel, xy); nose up, right right.

    The distance from the middle is the polar angle, 1 being 90 degrees.
    """
    _, polar, azimuth = directions(positions)
    radius, angle = polar / 90.0, np.radians(azimuth)
    return np.column_stack([radius * np.sin(angle), radius * np.cos(angle)])
