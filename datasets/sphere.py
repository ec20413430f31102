"""Magnetic field of a current dipole inside a conducting sphere (Sarvas 1987)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from brainforge.datasets.helmet import HEAD_CENTER
from brainforge.errors import InputError

Array = npt.NDArray[np.float64]

MU0_OVER_4PI = 1e-7


def sphere_gain(
    positions: Array,
    orientations: Array,
    dipoles: Array,
    center: tuple[float, float, float] = HEAD_CENTER,
) -> Array:
    """Return what point magnetometers see of unit dipoles in a conducting sphere.

    The sphere may have any radial profile of conductivity; its radius does not enter, as long
    as the dipoles lie inside and the sensors outside. A radial dipole gives no field at all.

    Parameters
    ----------
    positions, orientations : array, axes (sensor, xyz)
        Metres and unit vectors.
    dipoles : array, axes (dipole, xyz)
        Metres, in the same frame.
    center : tuple of 3 float
        Centre of the sphere.

    Returns
    -------
    gain : float64 array, axes (sensor, dipole, moment along x, y, z)
        Tesla per ampere metre.

    References
    ----------
    Sarvas (1987), Phys. Med. Biol. 32(1):11-22, equation 25.
    """
    sensor, axis, dipole = (np.atleast_2d(np.asarray(a, float)) for a in
                            (positions, orientations, dipoles))  # fmt: skip
    if sensor.shape != axis.shape or sensor.shape[-1] != 3 or dipole.shape[-1] != 3:
        raise InputError(
            where="sphere_gain",
            expected="positions and orientations (sensor, 3) and dipoles (dipole, 3)",
            got=f"{sensor.shape}, {axis.shape} and {dipole.shape}",
        )
    r = (sensor - center)[:, None, :]
    r0 = (dipole - center)[None, :, :]
    n = axis[:, None, :]
    a = r - r0
    dist = np.linalg.norm(a, axis=2)
    radius = np.linalg.norm(r, axis=2)
    if dist.size and (np.linalg.norm(r0, axis=2).max() >= radius.min()):
        raise InputError(
            where="dipoles", expected="dipoles nearer to the centre than every sensor",
            got="one farther out",
        )  # fmt: skip
    along = np.sum(a * r, axis=2)
    f = dist * (radius * dist + radius**2 - np.sum(r0 * r, axis=2))
    grad_r = dist**2 / radius + along / dist + 2.0 * dist + 2.0 * radius
    grad_r0 = dist + 2.0 * radius + along / dist
    grad_n = grad_r * np.sum(r * n, axis=2) - grad_r0 * np.sum(r0 * n, axis=2)
    cross_n = np.cross(r0, n)
    cross_r = np.cross(r0, r)
    return MU0_OVER_4PI * (cross_n / f[..., None] - cross_r * (grad_n / f**2)[..., None])
