"""Signal space separation by SciPy's harmonics and a plain pseudo-inverse."""

from __future__ import annotations

import numpy as np

from tests.reference.harmonics import fields_reference


def sss_reference(positions, axes, origin, orders, good):
    """Return the map from channels to their inside part, axes (channel, channel)."""
    points = (positions - origin) / 0.1
    columns = []
    for degree, inside in ((orders[0], True), (orders[1], False)):
        if degree == 0:
            continue
        fields = fields_reference(points, degree, inside=inside)
        for f in range(fields.shape[2]):
            columns.append([fields[c, :, f] @ axes[c] for c in range(len(axes))])
    s = np.array(columns).T
    s /= np.linalg.norm(s[good], axis=0)
    n_inside = orders[0] * (orders[0] + 2)
    matrix = np.zeros((len(axes), len(axes)))
    matrix[:, good] = s[:, :n_inside] @ np.linalg.pinv(s[good])[:n_inside]
    return matrix
