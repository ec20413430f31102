"""The algebra of a tSSS window: from its Gram matrices to the matrices that clean it.

With X the window, A = P X its inside part and B = R X its residual, everything about the
subspaces that A and B span in time follows from X X^T. It is small and done on the host.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from brainforge.errors import KernelInputError
from brainforge.kernels.field_split import FieldSplit

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

#: directions with less than this share of the window's power are rounding
LEAST_POWER = 1e-14
#: samples for every dimension of both subspaces: with fewer, independent ones seem to intersect
SAMPLES_PER_DIMENSION = 3


@dataclass(frozen=True)
class Pattern:
    """Samples of a window at which the same channels can be believed.

    Parameters
    ----------
    rows : int array, axes (channel,)
        These channels, good ones only.
    columns : int array, axes (sample,)
    to_frame : float64 array, axes (dimension, row)
        From these channels to coefficients of the model's frame.
    """

    rows: npt.NDArray[np.intp]
    columns: npt.NDArray[np.intp]
    to_frame: Floats

    @property
    def few(self) -> bool:
        """Whether the samples themselves say less than their Gram matrix would hold."""
        return len(self.columns) < len(self.rows)


def least_samples(split: FieldSplit) -> int:
    """Return the independent samples that a window needs for the temporal step."""
    return SAMPLES_PER_DIMENSION * (split.n_inside + split.n_residual)


def patterns_of(
    split: FieldSplit, good: Bools | None, n_samples: int
) -> tuple[list[Pattern], Bools]:
    """Return the samples of a window by which channels can be believed, and which are usable."""
    if good is None or good[split.good].all():
        rows = np.flatnonzero(split.good)
        everything = Pattern(rows, np.arange(n_samples), split.frame[rows].T.copy())
        return [everything] if n_samples else [], np.ones(n_samples, dtype=bool)
    believed = good & split.good[:, None]
    edges = np.flatnonzero((believed[:, 1:] != believed[:, :-1]).any(axis=0)) + 1
    found: dict[bytes, list[npt.NDArray[np.intp]]] = {}
    for columns in np.split(np.arange(n_samples), edges):
        found.setdefault(believed[:, columns[0]].tobytes(), []).append(columns)
    patterns, usable = [], np.zeros(n_samples, dtype=bool)
    for key, runs in found.items():
        use = np.frombuffer(key, dtype=bool)
        to_frame = split.coefficients(use)
        if to_frame is None:
            continue
        columns, rows = np.concatenate(runs), np.flatnonzero(use)
        patterns.append(Pattern(rows, columns, to_frame[:, rows]))
        usable[columns] = True
    return patterns, usable


@dataclass(frozen=True)
class Solved:
    """What is to be done with a window.

    Parameters
    ----------
    found : list of float64 array
        For every pattern the matrix to apply to its rows, axes (channel, row), or where its
        samples are few what comes of them, axes (channel, sample).
    n_removed, temporal
        As in `Cleaned`.
    """

    found: list[Floats]
    n_removed: int
    temporal: bool


def solve_window(
    split: FieldSplit,
    patterns: list[Pattern],
    sums: list[Floats],
    correlation: float,
    min_samples: int | None = None,
) -> Solved:
    """Return what is to be done with a window, from little: this part is done on the host.

    Parameters
    ----------
    split : FieldSplit
    patterns : list of Pattern
    sums : list of float64 array
        For every pattern the sums of products over its samples, axes (row, row), or where these
        are few the samples themselves, axes (row, sample).
    correlation, min_samples : float, int | None
        As for `tsss_window`.

    Returns
    -------
    Solved

    Raises
    ------
    KernelInputError
        Where sums are not finite.
    """
    if not all(np.isfinite(x).all() for x in sums):
        raise KernelInputError(
            where="data", expected="finite values where good", got="NaN or infinity"
        )
    inside = [split.inner @ p.to_frame for p in patterns]
    beyond = [_residual(split, p) if not p.few else np.zeros((0, 0)) for p in patterns]
    for i, (pattern, x) in enumerate(zip(patterns, sums)):
        if pattern.few:
            inside[i], beyond[i] = inside[i] @ x, _leftover(split, pattern, x)
    least = least_samples(split) if min_samples is None else min_samples
    n_samples = sum(len(p.columns) for p in patterns)
    if n_samples < max(least, 1):
        return Solved([split.out @ a for a in inside], 0, False)
    n, m = len(split.good), split.n_inside
    within, across, outer = np.zeros((m, m)), np.zeros((m, n)), np.zeros((n, n))
    power = 0.0
    for pattern, a, b, x in zip(patterns, inside, beyond, sums):
        ax, bx = (a, b) if pattern.few else (a @ x, b @ x)
        within += ax @ a.T
        across += ax @ b.T
        outer += bx @ b.T
        power += float(np.vdot(x, x) if pattern.few else np.trace(x))
    shared = _intersection(within, across, outer, correlation, LEAST_POWER * power, split)
    taken = across @ shared.T
    found = [split.out @ (a - taken @ (shared @ b)) for a, b in zip(inside, beyond)]
    return Solved(found, len(shared), True)


def _intersection(
    within: Floats, across: Floats, beyond: Floats, limit: float, least: float, split: FieldSplit
) -> Floats:
    """Return the map from the residual to the orthonormal time courses that both share.

    Axes (time course, channel).
    """
    left = _inverse_root(within, least, split.n_inside)
    right = _inverse_root(beyond, least, split.n_residual)
    _, cosines, vectors = np.linalg.svd(left.T @ across @ right, full_matrices=False)
    return vectors[cosines >= limit] @ right.T


def _inverse_root(gram: Floats, least: float, most: int) -> Floats:
    """Return what makes a subspace's time courses orthonormal, axes (channel, time course)."""
    values, vectors = np.linalg.eigh(gram)
    keep = np.flatnonzero(values > max(least, 0.0))[::-1][: max(most, 0)]
    root: Floats = vectors[:, keep] / np.sqrt(values[keep])
    return root


def _residual(split: FieldSplit, pattern: Pattern) -> Floats:
    """Return the map from a pattern's rows to what the model leaves over, axes (channel, row)."""
    out = np.zeros((len(split.good), len(pattern.rows)))
    own = -split.frame[pattern.rows] @ pattern.to_frame
    own[np.diag_indices(len(own))] += 1.0
    out[pattern.rows] = own
    return out


def _leftover(split: FieldSplit, pattern: Pattern, x: Floats) -> Floats:
    """Return what the model leaves over of a pattern's samples, axes (channel, sample)."""
    out = np.zeros((len(split.good), x.shape[1]))
    out[pattern.rows] = x - split.frame[pattern.rows] @ (pattern.to_frame @ x)
    return out
