"""Homogeneous field correction and its higher orders: project out fields from far away.

References
----------
Tierney et al. (2021), Modelling optically pumped magnetometer interference in MEG as a spatially
homogeneous magnetic field. NeuroImage 244.
Tierney et al. (2022), Spherical harmonic based noise rejection and neuronal sampling with
multi-axis OPMs. NeuroImage 258.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from brainforge.errors import KernelInputError
from brainforge.kernels.dispatch import kernel
from brainforge.kernels.harmonics import n_harmonics, regular_fields
from brainforge.kernels.sensors import SensorPoints

Floats = npt.NDArray[np.float64]

#: lengths are taken in this many metres, so that all orders have similar size
SCALE = 0.1


def hfc_basis(sensors: SensorPoints, order: int = 1) -> Floats:
    """Return what the channels see of external fields.

    Parameters
    ----------
    sensors : SensorPoints
    order : int
        1: homogeneous, 3 fields; 2: with gradients, 8; 3: 15.

    Returns
    -------
    float64 array, axes (channel, field)
        Each field scaled to unit norm over the channels; zero where none of them sees it.

    Raises
    ------
    KernelInputError
    """
    if order not in (1, 2, 3):
        raise KernelInputError(where="order", expected="1, 2 or 3", got=str(order))
    fields = regular_fields(sensors.positions / SCALE, order)
    basis = sensors.measure(fields)
    norm = np.linalg.norm(basis, axis=0)
    # a gradiometer sees nothing of a homogeneous field, and rounding is no field
    strength = np.linalg.norm(sensors.directions, axis=1)[:, None] * np.linalg.norm(fields, axis=1)
    seen = norm > 1e-10 * np.linalg.norm(strength, axis=0)
    return np.where(seen, basis, 0.0) / np.where(seen, norm, 1.0)


def subspace(basis: Floats, tolerance: float = 1e-8) -> Floats:
    """Return an orthonormal basis of the columns' span, axes (channel, dimension).

    Columns are orthogonalised together; directions under ``tolerance`` of the largest singular
    value are left out, so that the rank is counted rightly where columns depend on each other.
    """
    if basis.ndim != 2:
        raise KernelInputError(
            where="basis", expected="axes (channel, field)", got=f"shape {basis.shape}"
        )
    if basis.size == 0:
        return np.zeros((basis.shape[0], 0))
    left, values, _ = np.linalg.svd(basis, full_matrices=False)
    return left[:, values > tolerance * max(float(values[0]), np.finfo(float).tiny)]


def removal(
    basis: Floats, good: npt.NDArray[np.bool_] | None = None, tolerance: float = 1e-8
) -> tuple[Floats, int]:
    """Return the matrix that takes fields off, and how many dimensions it takes.

    Parameters
    ----------
    basis : float64 array, axes (channel, field)
        What the channels see of each field; the columns need not be orthogonal.
    good : bool array, axes (channel,) | None
        Channels that the fields are estimated from; None for all.
    tolerance : float
        Of `subspace`.

    Returns
    -------
    matrix : float64 array, axes (channel, channel)
        Over good channels I - X pinv(X). A bad channel's row takes off what the good ones
        estimate; its column reaches no other channel.
    n_removed : int
        The rank over the good channels falls by this.
    """
    n = basis.shape[0]
    use = np.ones(n, dtype=bool) if good is None else np.asarray(good, dtype=bool)
    if use.shape != (n,):
        raise KernelInputError(where="good", expected=f"shape {(n,)}", got=f"{use.shape}")
    matrix = np.eye(n)
    if basis.size and use.any():
        matrix[:, use] -= basis @ np.linalg.pinv(basis[use], rcond=tolerance)
    return matrix, subspace(basis[use], tolerance).shape[1]


@kernel(device=None, why_not="built once from sensor positions, channels x channels")
def hfc_operator(basis: Floats, good: npt.NDArray[np.bool_] | None = None) -> tuple[Floats, int]:
    """Return `removal` of the fields of `hfc_basis`.

    Raises
    ------
    KernelInputError
        Where there are not at least twice as many good channels as fields.
    """
    n_good = basis.shape[0] if good is None else int(np.count_nonzero(good))
    if n_good < 2 * basis.shape[1]:
        raise KernelInputError(
            where="field correction",
            expected=f"at least {2 * basis.shape[1]} good channels for {basis.shape[1]} fields",
            got=f"{n_good}",
            fix="use a lower order or none",
        )
    return removal(basis, good)


__all__ = ["hfc_basis", "hfc_operator", "n_harmonics", "removal", "subspace"]
