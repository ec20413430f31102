"""The covariance that random dipoles in a spherical conductor give, by drawing them."""

from __future__ import annotations

import numpy as np


def sarvas(point, dipole, moment):
    """Return the field in tesla at ``point`` of a current dipole in a sphere around the origin."""
    a = point - dipole
    la, lr = np.linalg.norm(a), np.linalg.norm(point)
    f = la * (lr * la + lr**2 - dipole @ point)
    grad = (la**2 / lr + a @ point / la + 2 * la + 2 * lr) * point
    grad -= (la + 2 * lr + a @ point / la) * dipole
    cross = np.cross(moment, dipole)
    return 1e-7 * (f * cross - (cross @ point) * grad) / f**2


def dipole_covariance(positions, axes, source_radius, n_dipoles, seed=0):
    """Return the mean outer product of what magnetometers see of random tangential dipoles."""
    rng = np.random.default_rng(seed)
    out = np.zeros((len(positions), len(positions)))
    for _ in range(n_dipoles):
        direction = rng.standard_normal(3)
        direction /= np.linalg.norm(direction)
        moment = np.cross(direction, rng.standard_normal(3))
        moment /= np.linalg.norm(moment)
        dipole = source_radius * direction
        seen = np.array([sarvas(p, dipole, moment) @ a for p, a in zip(positions, axes)])
        out += np.outer(seen, seen)
    return out / n_dipoles
