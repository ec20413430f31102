"""Artifact Subspace Reconstruction for live data, block by block, for hundreds of channels.

Mullen et al. (2015, IEEE Trans Biomed Eng 62:2553-2567). A window's directions of too much
power are taken for artifacts, and what they add is replaced by what the other directions say of
clean data. Two things differ from the paper, both for many channels. Directions are those in
which the window exceeds the *thresholds* most (a generalised eigenvalue problem), not those in
which it varies most, so that strong alpha is no part of a weak artifact. And nothing is
decomposed while nothing exceeds: ``level * I - G`` has a Cholesky factor exactly if no direction
does, which costs a tenth of the eigenvalues.

With artifact directions A and clean covariance S the estimate of the clean signal given all that
A cannot reach is ``x - A (A' S^-1 A)^-1 A' S^-1 x``: the paper's ``M pinv(keep V'M) V'`` as an
update of the rank of the artifacts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import eigh
from scipy.linalg.lapack import spotrf

from brainforge.errors import KernelInputError
from brainforge.kernels.asr_fit import AsrModel
from brainforge.kernels.dispatch import kernel
from brainforge.kernels.iir import sosfilt
from brainforge.kernels.rolling import swap

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Removal:
    """What is taken off: ``x - mixing @ (unmixing @ x)``.

    Parameters
    ----------
    mixing : float32 array, axes (channel, artifact)
    unmixing : float32 array, axes (artifact, channel)
    """

    mixing: F32
    unmixing: F32

    @classmethod
    def none(cls, n_channels: int) -> Removal:
        """Return the removal of nothing."""
        return cls(np.zeros((n_channels, 0), np.float32), np.zeros((0, n_channels), np.float32))

    @property
    def rank(self) -> int:
        """Number of artifact directions."""
        return len(self.unmixing)


@dataclass
class AsrState:
    """The window so far: products of its hops, their sum, and the shaping filter's state."""

    filter: F64
    pieces: F32
    total: F64
    n_seen: int = 0
    #: windows that had to be decomposed
    n_cut: int = 0

    @classmethod
    def empty(cls, model: AsrModel, hop: int) -> AsrState:
        """Return the state before the first hop of ``hop`` samples."""
        n_hops = max(round(model.n_window / hop), 1)
        k = len(model.variance)
        shape = len(model.shaping), 2, len(model.scale)
        return cls(np.zeros(shape), np.zeros((n_hops, k, k), np.float32), np.zeros((k, k)))


@kernel(
    device="brainforge.kernels.device.asr:asr_assess",
    tolerance=1e-3,
    raw=True,
    supports="the products come home, where they are decomposed",
    takes={"x": "float32 (channel, sample)"},
)
def asr_assess(state: AsrState, model: AsrModel, x: F32) -> Removal:
    """Take one hop and return what has to be taken off the window that it ends.

    Parameters
    ----------
    state : AsrState
        Changed in place.
    model : AsrModel
    x : float32 array, axes (channel, sample)
        The hop's samples, the same number every time; finite.

    Returns
    -------
    Removal
        Nothing while the first window is not full.

    Raises
    ------
    KernelInputError
        Where shape, type or values do not fit.
    """
    check_hop(model, x.shape)
    shaped = sosfilt(np.ascontiguousarray(x.T), model.shaping, state.filter)
    z = model.whitener @ shaped.T
    return judge(state, model, z @ z.T, x.shape[1])


def check_hop(model: AsrModel, shape: tuple[int, ...]) -> None:
    """Raise KernelInputError unless a hop has the model's channels and a sample at least."""
    if shape[0] != len(model.scale) or not shape[1]:
        raise KernelInputError(
            where="x",
            expected=f"{len(model.scale)} channels x at least one sample",
            got=f"shape {tuple(shape)}",
        )


def judge(state: AsrState, model: AsrModel, gram: F32, hop: int) -> Removal:
    """Move the window on by one hop's products (component, component) and judge it."""
    if len(gram) and not np.isfinite(gram[0].sum()):
        raise KernelInputError(
            where="x", expected="finite samples", got="NaN or infinity", fix="bridge them first"
        )
    swap(state.pieces[state.n_seen % len(state.pieces)], gram, state.total)
    state.n_seen += 1
    if state.n_seen < len(state.pieces):
        return Removal.none(len(model.scale))
    mean = (state.total / (len(state.pieces) * hop)).astype(np.float32)
    if is_clean(mean, model.level):
        return Removal.none(len(model.scale))
    state.n_cut += 1
    return removal_of(mean, model)


def is_clean(gram: F32, level: float) -> bool:
    """Return whether no direction's mean square exceeds ``level``.

    Parameters
    ----------
    gram : float32 array, axes (component, component)
        Mean products in units of the thresholds.
    level : float
    """
    rest = -gram
    rest[np.diag_indices_from(rest)] += np.float32(level)
    # a positive definite matrix has a Cholesky factor, no other has
    return bool(spotrf(rest.T, lower=1, overwrite_a=1, clean=0)[1] == 0)


def removal_of(gram: F32, model: AsrModel) -> Removal:
    """Return the removal of all directions whose mean square exceeds the model's level."""
    values, vectors = eigh(gram, subset_by_value=(model.level, np.inf), driver="evr")
    del values  # rising: the last are the largest
    w = vectors[:, -model.most :].astype(np.float64)
    t, d = model.thresholds[:, None], model.variance[:, None]
    mixing = model.components.T @ (t * w) * model.scale[:, None]
    back = (w * t / d).T @ model.components / model.scale
    unmixing = np.linalg.solve((w * t**2 / d).T @ w, back)
    return Removal(mixing.astype(np.float32), unmixing.astype(np.float32))


@kernel(
    device="brainforge.kernels.device.asr:asr_remove",
    tolerance=2e-6,
    takes={"x": "float32 (channel, sample)"},
)
def asr_remove(x: F32, before: Removal, after: Removal) -> F32:
    """Take artifacts off one hop, from one removal to the next along a raised cosine.

    Parameters
    ----------
    x : float32 array, axes (channel, sample)
    before, after : Removal
        In force at the hop's beginning and at its end.

    Returns
    -------
    float32 array, axes (channel, sample)
        ``x`` itself where there is nothing to take off.
    """
    check_removals(x.shape, before, after)
    if not before.rank and not after.rank:
        return x
    rise = 0.5 - 0.5 * np.cos(np.pi * np.arange(1, x.shape[1] + 1) / x.shape[1])
    rise = rise.astype(np.float32)
    mixing = np.concatenate([before.mixing, after.mixing], axis=1)
    sources = np.concatenate(
        [(1 - rise) * (before.unmixing @ x), rise * (after.unmixing @ x)], axis=0
    )
    return x - mixing @ sources


def check_removals(shape: tuple[int, ...], before: Removal, after: Removal) -> None:
    """Raise KernelInputError unless both removals are of a hop's channels."""
    if len(before.mixing) != shape[0] or len(after.mixing) != shape[0]:
        raise KernelInputError(
            where="x", expected=f"{len(before.mixing)} channels", got=f"shape {tuple(shape)}"
        )
