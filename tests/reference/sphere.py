"""A dipole in a conducting sphere, one sensor and one moment at a time (Sarvas 1987, eq. 25)."""

from __future__ import annotations

import numpy as np


def sphere_field(sensor, dipole, moment, center):
    """Field vector in tesla at ``sensor`` of ``moment`` (A m) at ``dipole``."""
    r, r0 = np.asarray(sensor) - center, np.asarray(dipole) - center
    a_vec = r - r0
    a, rn = np.linalg.norm(a_vec), np.linalg.norm(r)
    f = a * (rn * a + rn**2 - r0 @ r)
    grad = (a**2 / rn + a_vec @ r / a + 2 * a + 2 * rn) * r - (a + 2 * rn + a_vec @ r / a) * r0
    q_cross = np.cross(moment, r0)
    return 1e-7 / f**2 * (f * q_cross - (q_cross @ r) * grad)
