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
from brainforge.kernels.tsss_solve import Pattern, patterns_of, solve_window

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

#: samples of which a Gram matrix is formed at once
TILE = 4096


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
        With fewer usable samples nothing is taken off in time; None for `tsss_solve.least_samples`.
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
