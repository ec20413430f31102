"""Sensor layouts: points spread evenly over a helmet around a spherical head.

Head frame of the field: x to the right, y to the front, z up, metres. The centre of the head
lies 4 cm above the origin, where MNE looks for it when nothing else is known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from brainforge.errors import InputError
from brainforge.info import Channel

Array = npt.NDArray[np.float64]

HEAD_CENTER: Final = (0.0, 0.0, 0.04)
HEAD_RADIUS: Final = 0.09
HELMET_RADIUS: Final = 0.1
#: the helmet is this much longer towards forehead and occiput, as a head is
_ELONGATION: Final = 0.004
#: FIFF coil type of a zero-field OPM magnetometer
COIL_OPM: Final = 8002
LAYOUTS: Final = ("radial", "triaxial")


@dataclass(frozen=True)
class SensorArray:
    """Point magnetometers: names, positions (m) and unit orientations, axes (sensor, xyz)."""

    names: tuple[str, ...]
    positions: Array
    orientations: Array

    @property
    def n_sensors(self) -> int:
        """Number of sensors."""
        return len(self.names)


def helmet_directions(n: int) -> Array:
    """Return ``n`` unit vectors spread evenly over the part of a sphere that a helmet covers.

    A Fibonacci lattice, cut above the face and below the ears and neck. Sorted from the
    vertex downwards; axes (point, xyz).
    """
    total = max(n, 1)
    while True:
        points = _fibonacci_sphere(total)
        margin = points[:, 2] - _rim(points[:, 1])
        kept = np.flatnonzero(margin > 0)
        if len(kept) >= n:
            best = kept[np.argsort(-margin[kept], kind="stable")[:n]]
            return points[np.sort(best)]
        total += max((n - len(kept)) // 2, 1)


def _fibonacci_sphere(n: int) -> Array:
    index = np.arange(n) + 0.5
    z = 1.0 - 2.0 * index / n
    azimuth = np.pi * (3.0 - np.sqrt(5.0)) * index
    ring = np.sqrt(1.0 - z * z)
    return np.stack([ring * np.cos(azimuth), ring * np.sin(azimuth), z], axis=1)


def _rim(y: Array) -> Array:
    """Height of the helmet's rim: low at the neck, above the eyes in front."""
    return -0.45 + 0.75 * np.clip((y + 0.1) / 1.1, 0.0, 1.0)


def sensor_array(n_channels: int, layout: str = "radial") -> SensorArray:
    """Return a helmet of ``n_channels`` point magnetometers.

    Parameters
    ----------
    n_channels : int
        Number of channels; a multiple of three for ``"triaxial"``.
    layout : str
        ``"radial"``: one sensitive axis a site, pointing away from the head.
        ``"triaxial"``: three axes a site, one radial (RAD) and two tangential (TA1, TA2).
    """
    if layout not in LAYOUTS:
        raise InputError(where="layout", expected=" or ".join(LAYOUTS), got=repr(layout))
    axes = 3 if layout == "triaxial" else 1
    if n_channels < 1 or n_channels % axes:
        raise InputError(
            where="n_channels",
            expected="a positive number" + (", a multiple of three" if axes == 3 else ""),
            got=str(n_channels),
        )
    unit = helmet_directions(n_channels // axes)
    radius = HELMET_RADIUS + _ELONGATION * unit[:, 1:2] ** 2
    positions = np.asarray(HEAD_CENTER) + radius * unit
    sites = [f"OPM{i + 1:03d}" for i in range(len(unit))]
    if axes == 1:
        return SensorArray(tuple(sites), positions, unit)
    first, second = tangents(unit)
    return SensorArray(
        tuple(f"{site}_{axis}" for site in sites for axis in ("RAD", "TA1", "TA2")),
        np.repeat(positions, 3, axis=0),
        np.stack([unit, first, second], axis=1).reshape(-1, 3),
    )


def tangents(unit: Array) -> tuple[Array, Array]:
    """Return two unit vectors that complete each row of ``unit`` to a right-handed frame."""
    # the helper axis is the one least aligned with the vector, so the cross product is safe
    helper = np.eye(3)[np.argmin(np.abs(unit), axis=1)]
    first = np.cross(helper, unit)
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    return first, np.cross(unit, first)


def opm_channels(
    array: SensorArray, *, cal: float, rails: tuple[float, float]
) -> tuple[Channel, ...]:
    """Return the channels of an array, with a coil location that MNE accepts."""
    ex, ey = tangents(array.orientations)
    locs = np.concatenate([array.positions, ex, ey, array.orientations], axis=1)
    return tuple(
        Channel(
            name=name,
            kind="mag",
            cal=cal,
            position=_vector(position),
            orientation=_vector(orientation),
            loc=tuple(float(v) for v in loc),
            coil_type=COIL_OPM,
            rails=rails,
        )
        for name, position, orientation, loc in zip(
            array.names, array.positions, array.orientations, locs, strict=True
        )
    )


def _vector(row: Array) -> tuple[float, float, float]:
    return float(row[0]), float(row[1]), float(row[2])
