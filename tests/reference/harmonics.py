"""Solid harmonics by SciPy's spherical harmonics, fields by central differences."""

from __future__ import annotations

import numpy as np
from scipy.special import sph_harm_y


def potentials(points, degree, *, inside):
    """Return real solid harmonics of degrees 1 to ``degree``, axes (point, harmonic)."""
    x, y, z = points.T
    r = np.linalg.norm(points, axis=1)
    polar, azimuth = np.arccos(z / r), np.arctan2(y, x)
    out = []
    for n in range(1, degree + 1):
        radial = r ** -(n + 1) if inside else r**n
        for m in range(n + 1):
            # SciPy's carry the Condon-Shortley sign
            value = radial * sph_harm_y(n, m, polar, azimuth) * (-1) ** m
            out += [value.real] if m == 0 else [np.sqrt(2) * value.real, np.sqrt(2) * value.imag]
    return np.stack(out, axis=1)


def fields_reference(points, degree, *, inside, step=1e-5):
    """Return gradients of `potentials`, axes (point, xyz, harmonic)."""
    out = []
    for axis in np.eye(3):
        up = potentials(points + step * axis, degree, inside=inside)
        down = potentials(points - step * axis, degree, inside=inside)
        out.append((up - down) / (2 * step))
    return np.stack(out, axis=1)
