"""Plain float64 symmetric orthogonalisation and the envelope correlation of what it gives."""

from __future__ import annotations

import numpy as np


def orthogonalise(z, n_iterations=2000):
    """Return the orthogonal signals nearest to z, by singular value decompositions of all of z.

    A complex signal is taken as its real and imaginary part one after the other in time.
    """
    z = np.asarray(z)
    parts = np.hstack([z.real, z.imag]).astype(np.float64) if np.iscomplexobj(z) else z * 1.0
    lengths = np.linalg.norm(parts, axis=1)
    for _ in range(n_iterations):
        left, _, right = np.linalg.svd(lengths[:, None] * parts, full_matrices=False)
        nearest = left @ right
        lengths = np.sum(nearest * parts, axis=1)
    near = lengths[:, None] * nearest
    half = near.shape[1] // 2
    return near[:, :half] + 1j * near[:, half:] if np.iscomplexobj(z) else near


def envelope_correlation(z):
    """Return the correlations of the envelopes of all pairs i < j after orthogonalisation."""
    envelopes = np.abs(orthogonalise(z))
    with np.errstate(invalid="ignore", divide="ignore"):
        r = np.nan_to_num(np.corrcoef(envelopes)) if len(z) > 1 else np.zeros((1, 1))
    return np.atleast_2d(r)[np.triu_indices(len(z), 1)]
