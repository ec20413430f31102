"""Temporal extension of signal space separation: what is inside and in the residual is neither.

A source so near to the array that neither expansion can hold it, a dental implant say, leaks
into the inside part and into what both parts leave over. A time course that both subspaces of a
window share is therefore taken off the inside part.

The window is read twice, once for its Gram matrix and once to apply a matrix: with X the window,
A its inside part and B its residual, both A = P X and B = R X, so that angles between the
subspaces in time, and the projector V V^T = B^T D^T D B on what they share, follow from X X^T.

References
----------
Taulu, Simola (2006), Spatiotemporal signal space separation method for rejecting nearby
interference in MEG measurements. Physics in Medicine and Biology 51.
Tierney et al. (2024), Adaptive multipole models of optically pumped magnetometer data. Human
Brain Mapping 45: the same step after their model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.errors import KernelInputError
from brainforge.kernels.apply import apply_matrix
from brainforge.kernels.dispatch import kernel
from brainforge.kernels.field_split import FieldSplit
from brainforge.kernels.parallel import parallel_map

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

#: samples of which a Gram matrix is formed at once
TILE = 4096
#: directions with less than this share of the window's power are rounding
LEAST_POWER = 1e-14
#: samples for every dimension of both subspaces: with fewer, independent ones seem to intersect
SAMPLES_PER_DIMENSION = 3


@dataclass(frozen=True)
class Cleaned:
    """A window after the separation.

    Parameters
    ----------
    data : array, axes (channel, sample)
        The inside part of every channel, good or bad, less what was removed in time; float32,
        the unit of the input. Zero where ``usable`` is False.
    n_removed : int
        Time courses taken off.
    temporal : bool
        Whether there were samples enough to look for any.
    usable : bool array, axes (sample,)
        False where so many channels are masked that nothing can be said.
    """

    data: Any
    n_removed: int
    temporal: bool
    usable: Bools


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


@kernel(device="brainforge.kernels.device.tsss:tsss_window", tolerance=1e-5)
def tsss_window(
    data: npt.NDArray[np.float32],
    split: FieldSplit,
    good: Bools | None = None,
    *,
    correlation: float = 0.98,
    min_samples: int | None = None,
    n_threads: int = 1,
) -> Cleaned:
    """Return the inside part of a window without what it shares in time with the residual.

    Parameters
    ----------
    data : float32 array, axes (channel, sample)
        In the unit that ``split`` was made for. Values at masked samples and in channels that
        are bad to the model may be anything, NaN included.
    split : FieldSplit
    good : bool array, axes (channel, sample) | None
        Which samples to believe; None for all.
    correlation : float
        Time courses whose subspace correlation is at least this are taken off; over 0, up to 1.
    min_samples : int | None
        With fewer usable samples nothing is taken off in time; None for `least_samples`.
    n_threads : int

    Returns
    -------
    Cleaned

    Raises
    ------
    KernelInputError
        Where shapes, type or the limit do not fit, or a sample to be believed is not finite.
    """
    check_window(data, split, good, correlation)
    patterns, usable = patterns_of(split, good, data.shape[1])
    parts = [_part(data, p) for p in patterns]
    sums = [
        part.astype(np.float64) if p.few else _gram(part, n_threads)
        for p, part in zip(patterns, parts)
    ]
    solved = solve_window(split, patterns, sums, correlation, min_samples)
    out = np.zeros(data.shape, dtype=np.float32)
    for pattern, part, found in zip(patterns, parts, solved.found):
        if len(pattern.columns) == data.shape[1] and not pattern.few:
            apply_matrix(found, part, out, n_threads=n_threads)
        elif pattern.few:
            out[:, pattern.columns] = found
        else:
            out[:, pattern.columns] = apply_matrix(found, part, n_threads=n_threads)
    return Cleaned(out, solved.n_removed, solved.temporal, usable)


def check_window(data: Any, split: FieldSplit, good: Bools | None, correlation: float) -> None:
    """Refuse what `tsss_window` cannot take."""
    n = len(split.good)
    if data.ndim != 2 or data.shape[0] != n or "float32" not in str(data.dtype):
        raise KernelInputError(
            where="data",
            expected=f"float32, {n} channels x samples",
            got=f"{data.dtype} of shape {tuple(data.shape)}",
        )
    if good is not None and good.shape != tuple(data.shape):
        raise KernelInputError(
            where="good", expected=f"shape {tuple(data.shape)}", got=f"{good.shape}"
        )
    if not 0 < correlation <= 1:
        raise KernelInputError(
            where="correlation", expected="over 0 and up to 1", got=f"{correlation:g}"
        )


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


def _part(data: npt.NDArray[np.float32], pattern: Pattern) -> npt.NDArray[np.float32]:
    if len(pattern.rows) == data.shape[0] and len(pattern.columns) == data.shape[1]:
        return np.ascontiguousarray(data)
    return data[np.ix_(pattern.rows, pattern.columns)]


def _gram(part: npt.NDArray[np.float32], n_threads: int) -> Floats:
    def one(at: int) -> Floats:
        tile = part[:, at : at + TILE].astype(np.float64)
        product: Floats = tile @ tile.T
        return product

    tiles = parallel_map(one, range(0, part.shape[1], TILE), n_threads)
    total = np.zeros((len(part), len(part)))
    for tile in tiles:
        total += tile
    return total
