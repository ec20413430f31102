"""Where channels sense: integration points from coil geometry.

A coil's local frame has its third axis along the sensitive direction. Sizes and baselines are
the manufacturers', as published with FIFF coil types.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from brainforge.info import Channel, Info
from brainforge.kernels.sensors import SensorPoints

#: planar gradiometers (Vectorview): half the baseline, height over the chip, in metres
_PLANAR = {3011: 0.0003, 3012: 0.0003, 3013: 0.0003, 3014: 0.0, 3015: 0.0}
_PLANAR_HALF = 8.4e-3
#: axial gradiometers: coil type -> baseline in metres
_AXIAL = {
    2001: 0.050,
    4002: 0.050,
    5001: 0.050,
    6001: 0.050,
    7001: 0.050,
    9001: 0.050,
    9101: 0.050,
    9102: 0.047,
}


def is_planar(channel: Channel) -> bool:
    """Whether a channel is a planar gradiometer."""
    return channel.coil_type in _PLANAR


def is_axial_gradiometer(channel: Channel) -> bool:
    """Whether a channel is an axial gradiometer, which hardly sees fields from far away."""
    return channel.coil_type in _AXIAL


def has_geometry(channel: Channel) -> bool:
    """Whether it is known where and along which axis a channel senses."""
    if channel.position is None or channel.orientation is None:
        return False
    known = np.isfinite([*channel.position, *channel.orientation]).all()
    placed = np.linalg.norm(channel.orientation) > 0.5 and np.any(np.array(channel.position) != 0)
    if is_planar(channel) and (channel.loc is None or not np.isfinite(channel.loc).all()):
        return False
    return bool(known and placed)


def sensor_points(info: Info, names: Iterable[str]) -> SensorPoints:
    """Return the integration points of channels that all have geometry, in the order named.

    What they measure is in tesla, tesla/metre for planar gradiometers, of fields in tesla.
    """
    positions, directions, index = [], [], []
    n = 0
    for n, name in enumerate(names, start=1):
        for offset, weight in _points(info.channel(name)):
            channel = info.channel(name)
            positions.append(np.array(channel.position) + offset)
            directions.append(weight * np.array(channel.orientation))
            index.append(n - 1)
    return SensorPoints(
        np.array(positions, dtype=np.float64).reshape(-1, 3),
        np.array(directions, dtype=np.float64).reshape(-1, 3),
        np.array(index, dtype=np.intp),
        n,
    )


def _points(channel: Channel) -> list[tuple[np.ndarray, float]]:
    """Return offsets in metres in the device frame, and weights."""
    axis = np.array(channel.orientation)
    if is_planar(channel) and channel.loc is not None:
        along = np.array(channel.loc[3:6])
        lift = _PLANAR[channel.coil_type] * axis
        weight = 1 / (2 * _PLANAR_HALF)
        return [(_PLANAR_HALF * along + lift, weight), (-_PLANAR_HALF * along + lift, -weight)]
    if is_axial_gradiometer(channel):
        return [(np.zeros(3), 1.0), (_AXIAL[channel.coil_type] * axis, -1.0)]
    return [(np.zeros(3), 1.0)]
