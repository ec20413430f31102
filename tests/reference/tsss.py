"""Temporal separation by orthonormal bases of both subspaces in time, as the paper puts it."""

from __future__ import annotations

import numpy as np


def _orth(rows, rank):
    return np.linalg.svd(rows.T, full_matrices=False)[0][:, :rank]


def tsss_reference(data, split, good=None, *, correlation=0.98, temporal=True):
    """Return the inside part of a window less what the residual shares, and how much it was."""
    data = np.asarray(data, dtype=np.float64)
    n, n_samples = data.shape
    believed = np.ones(data.shape, bool) if good is None else good.copy()
    believed &= split.good[:, None]
    inside = np.zeros((split.n_inside, n_samples))
    residual = np.zeros((n, n_samples))
    usable = np.zeros(n_samples, bool)
    for t in range(n_samples):
        use = believed[:, t]
        if np.linalg.matrix_rank(split.frame[use], tol=1e-3) < split.frame.shape[1]:
            continue
        usable[t] = True
        found = np.linalg.lstsq(split.frame[use], data[use, t], rcond=None)[0]
        inside[:, t] = split.inner @ found
        residual[use, t] = data[use, t] - split.frame[use] @ found
    n_removed = 0
    if temporal:
        a, b = _orth(inside, split.n_inside), _orth(residual, split.n_residual)
        _, cosines, vectors = np.linalg.svd(a.T @ b, full_matrices=False)
        shared = b @ vectors[cosines >= correlation].T
        n_removed = shared.shape[1]
        inside -= inside @ shared @ shared.T
    return split.out @ inside, n_removed, usable
