"""Adaptive multipole models: spheroidal harmonics that follow the shape of the sensor array.

What the outside harmonics explain is projected out first; then only what the inside harmonics
explain of the rest is kept. The spheroid is the one that fits the sensors.

References
----------
Tierney et al. (2024), Adaptive multipole models of optically pumped magnetometer data. Human
Brain Mapping 45.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from brainforge.errors import KernelInputError
from brainforge.kernels.dispatch import kernel
from brainforge.kernels.field_split import FieldSplit, checked_good, seen_columns
from brainforge.kernels.sensors import SensorPoints
from brainforge.kernels.spheroidal import spheroidal_inside, spheroidal_outside

Floats = npt.NDArray[np.float64]

#: orders of the models inside and outside that the paper uses: 99 and 8 fields
ORDERS = (9, 2)
#: good channels for every field. With 107 channels for 107 fields the inside model explains any
#: signal and nothing but the outside model is removed; the paper's figures begin at 128
CHANNELS_PER_FIELD = 1.12
#: inside fields of degree 1, and the share of them that the outside fields must leave
N_DIPOLES, LEAST_LEFT = 3, 0.5
#: singular values below this share of the largest are fields that channels do not tell apart
TOLERANCE = 1e-10


@dataclass(frozen=True)
class Spheroid:
    """A prolate spheroid.

    Parameters
    ----------
    centre : float64 array, axes (xyz,)
        Metres.
    axis : int
        0, 1 or 2: the long axis is along x, y or z.
    long, short : float
        Semi-axes in metres; equal for a sphere.
    """

    centre: Floats
    axis: int
    long: float
    short: float

    @property
    def focus(self) -> float:
        """Distance of a focus from the centre in metres."""
        return float(np.sqrt(max(self.long**2 - self.short**2, 0.0)))


def fit_spheroid(positions: Floats) -> Spheroid:
    """Return the prolate spheroid along a coordinate axis that is nearest to the sensors.

    Parameters
    ----------
    positions : float64 array, axes (sensor, xyz)
        Metres; at least five that are not in a plane.

    Returns
    -------
    Spheroid
        A sphere where no axis along which the array is longer fits better.

    Raises
    ------
    KernelInputError
        Where no spheroid fits.
    """
    points = np.asarray(positions, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 3 or not np.isfinite(points).all():
        raise KernelInputError(
            where="positions", expected="finite, axes (sensor, xyz)", got=f"shape {points.shape}"
        )
    size = np.ptp(points, axis=0).max() if len(points) else 0.0
    flat = np.linalg.svd(points - points.mean(axis=0), compute_uv=False) if len(points) > 4 else [0]
    if len(points) < 5 or flat[-1] < 1e-3 * max(float(flat[0]), 1e-300):
        raise KernelInputError(
            where="positions", expected="at least 5 sensors not in a plane", got=f"{len(points)}"
        )
    scaled, shift = (points - points.mean(axis=0)) / size, points.mean(axis=0)
    fits = [fit for axis in range(3) if (fit := _fit(scaled, axis)) is not None]
    sphere = _fit(scaled, None)
    if sphere is not None:
        fits.append(sphere)
    if not fits:
        raise KernelInputError(
            where="positions", expected="sensors around a spheroid", got="another shape"
        )
    _, best = min(fits, key=lambda f: f[0])
    return Spheroid(
        shift + size * best.centre, best.axis, float(size * best.long), float(size * best.short)
    )


def _fit(points: Floats, axis: int | None) -> tuple[float, Spheroid] | None:
    """Return misfit and spheroid by linear least squares; None where it is not prolate."""
    square = points**2
    columns = [points, np.ones((len(points), 1))]
    if axis is not None:
        columns.append(-square[:, [axis]])
        target = square.sum(axis=1) - square[:, axis]
    else:
        target = square.sum(axis=1)
    found = np.linalg.lstsq(np.concatenate(columns, axis=1), target, rcond=None)[0]
    ratio = 1.0 if axis is None else float(found[4])  # (short / long) squared
    if not 0 < ratio <= 1:
        return None
    weights = np.ones(3)
    if axis is not None:
        weights[axis] = ratio
    centre = found[:3] / (2 * weights)
    short_square = float(found[3] + (weights * centre**2).sum())
    if short_square <= 0:
        return None
    radius = np.sqrt((weights * (points - centre) ** 2).sum(axis=1))
    short = np.sqrt(short_square)
    fitted = Spheroid(
        centre, 2 if axis is None else axis, float(short / np.sqrt(ratio)), float(short)
    )
    return float(np.std(radius)), fitted


def amm_basis(
    sensors: SensorPoints, spheroid: Spheroid, orders: tuple[int, int] = ORDERS
) -> tuple[Floats, Floats]:
    """Return what the channels see of sources inside and outside.

    Parameters
    ----------
    sensors : SensorPoints
    spheroid : Spheroid
        Its foci define the harmonics; sources are taken to lie inside a confocal spheroid that
        leaves all sensors outside.
    orders : tuple of 2 int
        Highest degree inside and outside; (9, 2) gives 99 and 8 fields.

    Returns
    -------
    inside, outside : float64 array, axes (channel, field)
        Fields that no channel sees are left out.

    Raises
    ------
    KernelInputError
    """
    if len(orders) != 2 or not (1 <= orders[0] <= 20 and 1 <= orders[1] <= 20):
        raise KernelInputError(
            where="orders", expected="1 to 20 inside and outside", got=f"{orders}"
        )
    # a cyclic change of axes brings the long one to z and keeps the frame right-handed
    turn = [(spheroid.axis + k) % 3 for k in (1, 2, 0)]
    points = ((sensors.positions - spheroid.centre) / spheroid.long)[:, turn]
    focus = spheroid.focus / spheroid.long
    turned = SensorPoints(points, sensors.directions[:, turn], sensors.channel, sensors.n_channels)
    bases = []
    for made, order in ((spheroidal_inside, orders[0]), (spheroidal_outside, orders[1])):
        fields = made(points, order, focus)
        basis = turned.measure(fields)
        bases.append(basis[:, seen_columns(fields, basis, turned.directions)])
    return bases[0], bases[1]


def least_channels(n_fields: int) -> int:
    """Return how many good channels a model of so many fields needs."""
    return int(np.ceil(CHANNELS_PER_FIELD * n_fields))


@kernel(device=None, why_not="built once from sensor positions, channels x channels")
def amm_split(inside: Floats, outside: Floats, good: npt.ArrayLike | None = None) -> FieldSplit:
    """Return the model over the good channels: outside removed, then what inside explains kept.

    Its `FieldSplit.matrix` over good channels is the orthogonal projector on what is left of
    the inside fields without the outside ones. It takes from brain signals what they share with
    the outside fields: the same matrix belongs to the leadfield.

    Parameters
    ----------
    inside, outside : float64 array, axes (channel, field)
        Of `amm_basis`, rows scaled so that the channels' noise is of one size.
    good : bool array, axes (channel,) | None
        Channels to fit to; None for all.

    Returns
    -------
    FieldSplit

    Raises
    ------
    KernelInputError
        Where there are too few good channels for the model to tell anything apart, or where
        they see fields from inside and outside alike, as radial magnetometers on a sphere do.
    """
    if inside.ndim != 2 or outside.ndim != 2 or len(inside) != len(outside):
        raise KernelInputError(
            where="inside and outside",
            expected="axes (channel, field) over the same channels",
            got=f"shapes {inside.shape} and {outside.shape}",
        )
    use = checked_good(good, len(inside))
    n_good, n_fields = int(np.count_nonzero(use)), inside.shape[1] + outside.shape[1]
    if n_good < least_channels(n_fields):
        raise KernelInputError(
            where="adaptive multipole model",
            expected=f"at least {least_channels(n_fields)} good channels for {n_fields} fields",
            got=f"{n_good}, of which the inside fields explain nearly everything",
            fix="use lower orders, or harmonic field correction",
        )
    outer = outside / np.linalg.norm(outside[use], axis=0)
    within = inside / np.linalg.norm(inside[use], axis=0)
    far, values, _ = np.linalg.svd(outer[use], full_matrices=False)
    far = far[:, values > TOLERANCE * values[0]]
    rest = within - outer @ (np.linalg.pinv(outer[use], rcond=TOLERANCE) @ within[use])
    if np.linalg.norm(rest[use][:, :N_DIPOLES], axis=0).min(initial=1.0) < LEAST_LEFT:
        raise KernelInputError(
            where="adaptive multipole model",
            expected="sensors that tell fields from inside and from outside apart",
            got="channels to which the fields of dipoles inside look like fields from outside",
            fix="use signal space separation where there are gradiometers, else harmonic field "
            "correction: one radial axis at one distance is too little",
        )
    near, values, right = np.linalg.svd(rest[use], full_matrices=False)
    kept = values > TOLERANCE * values[0]
    frame = np.zeros((len(use), int(kept.sum()) + far.shape[1]))
    frame[use] = np.concatenate([near[:, kept], far], axis=1)
    out = rest @ (right[kept].T / values[kept])
    inner = np.eye(int(kept.sum()), frame.shape[1])
    return FieldSplit(frame, inner, out, use, float(values[0] / values[-1]))
