"""Sensors as sets of weighted points: how a channel sums up a vector field."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from brainforge.errors import KernelInputError

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class SensorPoints:
    """Integration points of channels.

    Parameters
    ----------
    positions : float64 array, axes (point, xyz)
        Metres.
    directions : float64 array, axes (point, xyz)
        Sensitive axis times the point's weight: 1 for a point magnetometer, 1/metre for a
        planar gradiometer.
    channel : int array, axes (point,)
        Which channel a point belongs to.
    n_channels : int
    """

    positions: Floats
    directions: Floats
    channel: npt.NDArray[np.intp]
    n_channels: int

    def __post_init__(self) -> None:
        shape = (len(self.channel), 3)
        if self.positions.shape != shape or self.directions.shape != shape:
            raise KernelInputError(
                where="sensor points",
                expected=f"positions and directions of shape {shape}",
                got=f"{self.positions.shape} and {self.directions.shape}",
            )
        if not (np.isfinite(self.positions).all() and np.isfinite(self.directions).all()):
            raise KernelInputError(
                where="sensor points", expected="finite positions", got="NaN or infinity"
            )

    @classmethod
    def magnetometers(cls, positions: Floats, orientations: Floats) -> SensorPoints:
        """Return point magnetometers, axes (channel, xyz) both."""
        channel = np.arange(len(positions))
        return cls(
            np.asarray(positions, float), np.asarray(orientations, float), channel, len(channel)
        )

    def measure(self, fields: Floats) -> Floats:
        """Return what the channels see of fields with axes (point, xyz, field).

        Returns
        -------
        float64 array, axes (channel, field)
        """
        seen = np.einsum("px,pxf->pf", self.directions, fields)
        out = np.zeros((self.n_channels, fields.shape[2]))
        np.add.at(out, self.channel, seen)
        return out
