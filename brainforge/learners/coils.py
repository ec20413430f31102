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
#: points over the two loops of a planar gradiometer: along the baseline, across it, and weight
_PLANAR_ALONG = (10.79e-3, 5.891e-3)
_PLANAR_ACROSS = 6.713e-3
_PLANAR_AREA_WEIGHT = 14.9858
#: square magnetometers: coil type -> side in metres, and the height over the chip
_SQUARE = {3022: 0.0258, 3023: 0.0258, 3024: 0.021, 3025: 0.028}
_SQUARE_LIFT = 0.0003
#: round loops: coil type -> diameter in metres
_ROUND = {
    4001: 0.023,
    4002: 0.018,
    5001: 0.018,
    6001: 0.0155,
    7002: 0.010,
    9001: 0.020,
    9101: 0.0205,
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


def sensor_points(info: Info, names: Iterable[str], *, area: bool = False) -> SensorPoints:
    """Return the integration points of channels that all have geometry, in the order named.

    What they measure is in tesla, tesla/metre for planar gradiometers, of fields in tesla.

    Parameters
    ----------
    info : Info
    names : iterable of str
    area : bool
        Integrate over the area of pick-up loops, where the coil type tells it. High orders of
        an expansion change over a loop of 2 cm, low ones do not.
    """
    positions, directions, index = [], [], []
    n = 0
    for n, name in enumerate(names, start=1):
        channel = info.channel(name)
        for offset, weight in _points(channel) if not area else area_points(channel):
            positions.append(np.array(channel.position) + offset)
            directions.append(weight * np.array(channel.orientation))
            index.append(n - 1)
    return SensorPoints(
        np.array(positions, dtype=np.float64).reshape(-1, 3),
        np.array(directions, dtype=np.float64).reshape(-1, 3),
        np.array(index, dtype=np.intp),
        n,
    )


def area_points(channel: Channel) -> list[tuple[np.ndarray, float]]:
    """Return offsets in metres in the device frame, and weights, over the area of the loops."""
    if channel.loc is None or not np.isfinite(channel.loc).all():
        return _points(channel)
    ex, ey = np.array(channel.loc[3:6]), np.array(channel.loc[6:9])
    if is_planar(channel):
        lift = _PLANAR[channel.coil_type] * np.array(channel.orientation)
        return [
            (sign * along * ex + across * ey + lift, sign * _PLANAR_AREA_WEIGHT)
            for sign in (1, -1)
            for along in _PLANAR_ALONG
            for across in (_PLANAR_ACROSS, -_PLANAR_ACROSS)
        ]
    offsets: list[tuple[np.ndarray, float]]
    if channel.coil_type in _SQUARE:
        steps = _SQUARE[channel.coil_type] * (np.arange(4) - 1.5) / 4
        lift = _SQUARE_LIFT * np.array(channel.orientation)
        offsets = [(a * ex + b * ey + lift, 1 / 16) for a in steps for b in steps]
    elif channel.coil_type in _ROUND:
        turns = np.arange(6) * np.pi / 3
        ring = _ROUND[channel.coil_type] / 2 * np.sqrt(2 / 3)
        offsets = [(np.zeros(3), 1 / 4)]
        offsets += [(ring * (np.cos(t) * ex + np.sin(t) * ey), 1 / 8) for t in turns]
    else:
        offsets = [(np.zeros(3), 1.0)]
    return [(a + b, v * w) for b, w in _points(channel) for a, v in offsets]


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
