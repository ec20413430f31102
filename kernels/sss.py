"""Signal Space Separation: multipole expansions inside and outside, and what belongs to each.

Fields of sources inside a sphere around the origin are irregular harmonics, those of sources
outside the array regular ones. Both together are fitted to the channels, the inside part is kept.

References
----------
Taulu, Kajola, Simola (2004), Suppression of interference and artifacts by the Signal Space
Separation method. Brain Topography 16.
Taulu, Kajola (2005), Presentation of electromagnetic multichannel data: the signal space
separation method. Journal of Applied Physics 97.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from brainforge.errors import KernelInputError
from brainforge.kernels.dispatch import kernel
from brainforge.kernels.field_split import FieldSplit, checked_good, seen_columns
from brainforge.kernels.harmonics import irregular_fields, n_harmonics, regular_fields
from brainforge.kernels.sensors import SensorPoints

Floats = npt.NDArray[np.float64]

#: orders of the expansions inside and outside that the papers use
ORDERS = (8, 3)
#: lengths are taken in this many metres, so that all orders have similar size
SCALE = 0.1
#: inside fields of degree 1: without them little of a brain signal is left
N_DIPOLES = 3
#: over this the columns depend on each other to within the sensors' accuracy
SINGULAR = 1e8


def sss_basis(
    sensors: SensorPoints,
    origin: npt.ArrayLike = (0.0, 0.0, 0.0),
    orders: tuple[int, int] = ORDERS,
) -> tuple[Floats, Floats]:
    """Return what the channels see of sources inside and outside.

    Parameters
    ----------
    sensors : SensorPoints
    origin : array-like of 3 float
        Centre of both expansions in metres, in the frame of ``sensors``. No source may be
        farther from it than the nearest sensor.
    orders : tuple of 2 int
        Highest degree inside and outside; (8, 3) gives 80 and 15 fields.

    Returns
    -------
    inside, outside : float64 array, axes (channel, field)
        Fields that no channel sees (a homogeneous one by gradiometers) are left out.

    Raises
    ------
    KernelInputError
    """
    if len(orders) != 2 or not (1 <= orders[0] <= 20 and 0 <= orders[1] <= 20):
        raise KernelInputError(
            where="orders", expected="1 to 20 inside and 0 to 20 outside", got=f"{orders}"
        )
    centre = np.asarray(origin, dtype=np.float64)
    if centre.shape != (3,) or not np.isfinite(centre).all():
        raise KernelInputError(where="origin", expected="3 finite metres", got=f"{origin!r}")
    points = (sensors.positions - centre) / SCALE
    inside = _seen(sensors, irregular_fields(points, orders[0]))
    if orders[1] == 0:
        return inside, np.zeros((sensors.n_channels, 0))
    return inside, _seen(sensors, regular_fields(points, orders[1]))


def _seen(sensors: SensorPoints, fields: Floats) -> Floats:
    basis = sensors.measure(fields)
    return basis[:, seen_columns(fields, basis, sensors.directions)]


@kernel(device=None, why_not="built once from sensor positions, channels x channels")
def sss_split(
    inside: Floats,
    outside: Floats,
    good: npt.ArrayLike | None = None,
    max_condition: float | None = None,
) -> FieldSplit:
    """Return the separation of inside from outside over the good channels.

    Its `FieldSplit.matrix` is S_in pinv([S_in S_out]) restricted to the inside rows of the
    pseudo-inverse, every column at unit norm over the good channels.

    Parameters
    ----------
    inside, outside : float64 array, axes (channel, field)
        Of `sss_basis`, rows scaled so that the channels' noise is of one size: in fT and fT/cm
        magnetometers and planar gradiometers are, which is MNE's ``mag_scale`` of 100.
    good : bool array, axes (channel,) | None
        Channels to fit to; None for all.
    max_condition : float | None
        Where the columns' condition number is over this, inside fields are left out, the one
        with the largest noise gain first, until it is not. None: none is left out.

    Returns
    -------
    FieldSplit

    Raises
    ------
    KernelInputError
        Where there are fewer good channels than fields, or fields that the good channels
        cannot tell apart: radial magnetometers at one distance from the origin see inside and
        outside fields of a degree alike.
    """
    if inside.ndim != 2 or outside.ndim != 2 or len(inside) != len(outside):
        raise KernelInputError(
            where="inside and outside",
            expected="axes (channel, field) over the same channels",
            got=f"shapes {inside.shape} and {outside.shape}",
        )
    use = checked_good(good, len(inside))
    n_good, n_fields = int(np.count_nonzero(use)), inside.shape[1] + outside.shape[1]
    if n_good < n_fields or not inside.shape[1]:
        raise KernelInputError(
            where="signal space separation",
            expected=f"at least {n_fields} good channels for {n_fields} fields",
            got=f"{n_good}",
            fix="use lower orders, or harmonic field correction",
        )
    columns = np.concatenate([inside, outside], axis=1)
    norms = np.linalg.norm(columns[use], axis=0)
    columns = columns / np.where(norms > 0, norms, 1.0)
    if max_condition is not None:
        columns, n_inside = _regularised(columns, use, inside.shape[1], max_condition)
    else:
        n_inside = inside.shape[1]
    condition = _condition(columns[use])
    if condition > SINGULAR:
        raise KernelInputError(
            where="signal space separation",
            expected="fields that the good channels can tell apart",
            got=f"a condition number of {condition:.1e}",
            fix="use lower orders, another origin or a limit to the condition",
        )
    return _split(columns, use, n_inside, condition)


def _split(
    columns: Floats, use: npt.NDArray[np.bool_], n_inside: int, condition: float
) -> FieldSplit:
    q, r = np.linalg.qr(columns[use])
    frame = np.zeros(columns.shape)
    frame[use] = q
    inner = np.eye(n_inside, columns.shape[1])
    # c = R a: what the outside moments put into the first rows is taken off again
    inner[:, n_inside:] = -np.linalg.solve(r[n_inside:, n_inside:].T, r[:n_inside, n_inside:].T).T
    out = np.linalg.solve(r[:n_inside, :n_inside].T, columns[:, :n_inside].T).T
    return FieldSplit(frame, inner, out, use, condition)


def _condition(columns: Floats) -> float:
    values = np.linalg.svd(columns, compute_uv=False)
    return float(values[0] / values[-1]) if values[-1] > 0 else float("inf")


def _regularised(
    columns: Floats, use: npt.NDArray[np.bool_], n_inside: int, limit: float
) -> tuple[Floats, int]:
    """Leave inside columns out, largest noise gain first, while the condition is over ``limit``."""
    if limit <= 1:
        raise KernelInputError(where="max_condition", expected="over 1", got=f"{limit:g}")
    kept = np.arange(columns.shape[1])
    while n_inside > 1:
        _, values, right = np.linalg.svd(columns[np.ix_(use, kept)], full_matrices=False)
        if values[0] <= limit * values[-1]:
            break
        floor = max(float(values[0]) * 1e-12, np.finfo(float).tiny)
        gain = np.square(right[:, :n_inside] / np.maximum(values, floor)[:, None]).sum(axis=0)
        worst = int(np.argmax(gain))
        if kept[worst] < N_DIPOLES:
            raise KernelInputError(
                where="signal space separation",
                expected="sensors that tell fields from inside and from outside apart",
                got="channels to which the fields of dipoles inside look like fields from outside",
                fix="use harmonic field correction: one radial axis at one distance is too little",
            )
        kept = np.delete(kept, worst)
        n_inside -= 1
    return columns[:, kept], n_inside


__all__ = ["ORDERS", "n_harmonics", "sss_basis", "sss_split"]
