"""Fields from outside the head: homogeneous, gradient, and a current dipole far away."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from brainforge.datasets.sphere import MU0_OVER_4PI

Array = npt.NDArray[np.float64]

#: symmetric, traceless 3 x 3 matrices: the first-order gradients a source-free field can have
GRADIENTS: tuple[tuple[tuple[float, float, float], ...], ...] = (
    ((0, 1, 0), (1, 0, 0), (0, 0, 0)),
    ((0, 0, 1), (0, 0, 0), (1, 0, 0)),
    ((0, 0, 0), (0, 0, 1), (0, 1, 0)),
    ((1, 0, 0), (0, -1, 0), (0, 0, 0)),
    ((-0.5, 0, 0), (0, -0.5, 0), (0, 0, 1)),
)


def background_basis(positions: Array, orientations: Array) -> Array:
    """Return what sensors see of unit homogeneous fields and of unit first-order gradients.

    Both are free of curl and divergence. Rows are sensors; columns 0-2 are homogeneous fields
    along x, y, z (tesla per tesla), columns 3-7 the five gradients about the origin (tesla per
    tesla per metre). Harmonic field correction of order 2 spans exactly these columns.
    """
    gradients = np.einsum("gij,sj,si->sg", np.asarray(GRADIENTS, float), positions, orientations)
    return np.concatenate([np.asarray(orientations, float), gradients], axis=1)


def far_dipole_gain(positions: Array, orientations: Array, source: Array, moment: Array) -> Array:
    """Return the field of a current dipole in free space (Biot-Savart), axes (sensor,).

    Used for the heart, whose currents flow outside the head.
    """
    a = np.asarray(positions, float) - source
    distance = np.linalg.norm(a, axis=1, keepdims=True)
    field = MU0_OVER_4PI * np.cross(np.asarray(moment, float), a) / distance**3
    return np.sum(field * orientations, axis=1)
