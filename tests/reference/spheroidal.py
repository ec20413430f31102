"""Prolate spheroidal harmonics by SciPy's Legendre functions in spheroidal coordinates."""

from __future__ import annotations

import numpy as np
from scipy.special import assoc_legendre_p_all, lqmn


def potentials(points, degree, focus, *, inside):
    """Return harmonics of degrees 1 to ``degree`` of any scale, axes (point, harmonic)."""
    out = []
    for x, y, z in points:
        r1, r2 = np.hypot(np.hypot(x, y), z + focus), np.hypot(np.hypot(x, y), z - focus)
        xi, eta, azimuth = (r1 + r2) / (2 * focus), (r1 - r2) / (2 * focus), np.arctan2(y, x)
        angular = assoc_legendre_p_all(degree, degree, eta)[0]
        if inside:
            radial = lqmn(degree, degree, xi)[0].T
        else:
            radial = assoc_legendre_p_all(degree, degree, xi, branch_cut=3)[0].real
        row = []
        for n in range(1, degree + 1):
            for m in range(n + 1):
                value = radial[n, m] * angular[n, m]
                row += (
                    [value]
                    if m == 0
                    else [value * np.cos(m * azimuth), value * np.sin(m * azimuth)]
                )
        out.append(row)
    return np.array(out)
