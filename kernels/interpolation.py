"""Channel repair: what a channel would see of the brain, told by the others.

Sources are taken to be tangential current dipoles spread evenly over a sphere inside the array.
In a spherical conductor their fields outside have multipole coefficients of known variance, so
channels have a known covariance, and the best linear estimate of one channel from others is the
minimum-norm one: W = K_bg (K_gg + noise)^-1. Sums over sources are done in harmonics, exactly.
Fields from far away are part of the covariance: what they put into the good channels would
otherwise be taken for brain, and be continued to the bad one as such.

References
----------
Sarvas (1987), Basic mathematical and electromagnetic concepts of the biomagnetic inverse
problem. Physics in Medicine & Biology 32.
Hämäläinen & Ilmoniemi (1994), Interpreting magnetic fields of the brain: minimum norm
estimates. Medical & Biological Engineering & Computing 32.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from brainforge.errors import KernelInputError
from brainforge.kernels.dispatch import kernel
from brainforge.kernels.harmonics import irregular_fields, regular_fields
from brainforge.kernels.sensors import SensorPoints

Floats = npt.NDArray[np.float64]

DEGREE = 20


def fit_sphere(points: Floats) -> tuple[Floats, float]:
    """Return centre and radius of the sphere nearest to points, axes (point, xyz).

    Raises
    ------
    KernelInputError
        Where there are fewer than ten points or they lie in a plane.
    """
    if len(points) < 10:
        raise KernelInputError(
            where="points", expected="at least 10 for a sphere", got=str(len(points))
        )
    middle = points.mean(axis=0)
    local = points - middle
    spread = np.linalg.svd(local, compute_uv=False)
    if spread[2] < 1e-3 * spread[0]:
        raise KernelInputError(
            where="points", expected="points around a head", got="points in a plane"
        )
    # |p - c|^2 = R^2 is linear in c and R^2 - |c|^2
    design = np.column_stack([2 * local, np.ones(len(local))])
    answer, *_ = np.linalg.lstsq(design, np.sum(local**2, axis=1), rcond=None)
    center = answer[:3]
    return center + middle, float(np.sqrt(answer[3] + center @ center))


def brain_covariance(
    sensors: SensorPoints, origin: Floats, source_radius: float, degree: int = DEGREE
) -> Floats:
    """Return the covariance that channels have if sources are spread evenly over a sphere.

    Parameters
    ----------
    sensors : SensorPoints
        Outside the sphere of the sources.
    origin : float64 array, axes (xyz,)
        Centre of the conductor in metres.
    source_radius : float
        In metres.
    degree : int
        Highest degree of the multipoles.

    Returns
    -------
    float64 array, axes (channel, channel)
        Arbitrary common scale.

    Raises
    ------
    KernelInputError
        Where a sensor lies inside the sphere.
    """
    scaled = (sensors.positions - origin) / source_radius
    inside = int(np.count_nonzero(np.linalg.norm(scaled, axis=1) <= 1.0))
    if inside:
        raise KernelInputError(
            where="sensors", expected="all outside the brain", got=f"{inside} points inside"
        )
    fields = sensors.measure(irregular_fields(scaled, degree))
    per_degree = [d / ((d + 1.0) * (2.0 * d + 1) ** 2) for d in range(1, degree + 1)]
    variance = np.repeat(per_degree, [2 * d + 1 for d in range(1, degree + 1)])
    return (fields * variance) @ fields.T


def far_covariance(
    sensors: SensorPoints, origin: Floats, powers: tuple[float, ...], scale: float = 0.1
) -> Floats:
    """Return the covariance that fields from far away give to channels.

    Parameters
    ----------
    sensors : SensorPoints
    origin : float64 array, axes (xyz,)
    powers : tuple of float
        For homogeneous fields, gradients, ...: mean square that each order together has at a
        sensor in its own direction, averaged over the sensors' points.
    scale : float
        Metres; only a matter of numerical size.

    Returns
    -------
    float64 array, axes (channel, channel)
    """
    fields = regular_fields((sensors.positions - origin) / scale, len(powers))
    seen = sensors.measure(fields)
    out = np.zeros((sensors.n_channels, sensors.n_channels))
    at = 0
    for degree, power in enumerate(powers, start=1):
        part = slice(at, at + 2 * degree + 1)
        # a field along a random axis shows a third of its power to a sensor
        mean = float(np.mean(np.sum(fields[:, :, part] ** 2, axis=(1, 2)))) / 3
        out += power / max(mean, np.finfo(float).tiny) * (seen[:, part] @ seen[:, part].T)
        at += 2 * degree + 1
    return out


@kernel(device=None, why_not="works on a channels x channels matrix once")
def repair_weights(covariance: Floats, good: npt.NDArray[np.bool_], noise: Floats) -> Floats:
    """Return the weights that tell bad channels from good ones.

    Parameters
    ----------
    covariance : float64 array, axes (channel, channel)
        Of the signal without the channels' own noise.
    good : bool array, axes (channel,)
    noise : float64 array, axes (channel,)
        Variance of each channel's own noise, in the units of the covariance.

    Returns
    -------
    float64 array, axes (bad channel, good channel)

    Raises
    ------
    KernelInputError
    """
    if covariance.shape != (len(good), len(good)) or noise.shape != good.shape:
        raise KernelInputError(
            where="covariance",
            expected=f"shape {(len(good), len(good))} and noise of as many channels",
            got=f"{covariance.shape} and {noise.shape}",
        )
    if not good.any():
        raise KernelInputError(where="good", expected="a good channel", got="none")
    among = covariance[np.ix_(good, good)] + np.diag(noise[good])
    return np.asarray(np.linalg.solve(among, covariance[np.ix_(good, ~good)]).T, dtype=np.float64)
