"""LCMV beamformer: the spatial filter of every source, as one matrix.

Applied to the channels it gives the sources' time courses. It is learned from the covariance and
the leadfield alone, both after whatever operator the data went through.

References
----------
Van Veen et al. (1997), Localization of brain electrical activity via linearly constrained minimum
variance spatial filtering. IEEE Transactions on Biomedical Engineering 44.
Sekihara, Nagarajan (2008), Adaptive spatial filters for electromagnetic brain imaging. Springer:
weights of unit noise gain and the orientation of largest power under them, eq. 4.47.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from brainforge.errors import KernelInputError
from brainforge.kernels.dispatch import kernel

Floats = npt.NDArray[np.float64]

WEIGHT_NORMS = ("unit-noise-gain", "unit-gain")
#: eigenvalues below this share of the largest are no part of the signal's space
RANK_TOLERANCE = 1e-10
#: directions of a source that channels see less than this share of the best seen one
LEADFIELD_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Beamformer:
    """Spatial filters.

    Parameters
    ----------
    weights : float64 array, axes (source, channel)
        With unit noise gain the output is in units of the noise; with unit gain in the unit of
        the moment that ``leadfield`` is for.
    orientations : float64 array, axes (source, xyz) | None
        Unit vectors; zero for a source that no channel sees; None for fixed orientations.
    rank : int
        Dimensions of the covariance that were inverted.
    """

    weights: Floats
    orientations: Floats | None
    rank: int

    def power(self, covariance: Floats) -> Floats:
        """Return each source's mean square under a covariance, axes (source,)."""
        return np.einsum("sc,cd,sd->s", self.weights, covariance, self.weights, optimize=True)


@kernel(device=None, why_not="works on a channels x channels matrix once")
def lcmv(
    leadfield: Floats,
    covariance: Floats,
    noise: Floats | None = None,
    *,
    reg: float = 0.05,
    rank: int | None = None,
    weight_norm: str = "unit-noise-gain",
    normals: Floats | None = None,
) -> Beamformer:
    """Return the filters that pass each source and let through the least of everything else.

    Parameters
    ----------
    leadfield : float64 array, axes (channel, source, xyz) or (channel, source)
        What channels see of unit moments; without the last axis of fixed orientation. Free
        sources get the orientation in which they are strongest under these filters; of
        directions that no channel sees (radial ones in a sphere) none is taken.
    covariance : float64 array, axes (channel, channel)
        Mean products of the channels, say `Gram.mean`.
    noise : float64 array, axes (channel, channel) | None
        Covariance of the noise, which channels of several units need; None for equal and
        independent noise.
    reg : float
        This share of the mean eigenvalue of the whitened covariance is added to all.
    rank : int | None
        Dimensions in which the covariance holds signal, as counted by the operators applied
        before (`Operator.rank`); None to count eigenvalues over 1e-10 of the largest.
    weight_norm : str
        ``"unit-noise-gain"`` or ``"unit-gain"``.
    normals : float64 array, axes (source, xyz) | None
        Orientations get the sign that points along these; None: upwards in their largest part.

    Returns
    -------
    Beamformer

    Raises
    ------
    KernelInputError
        Where shapes do not fit, something is not finite, a covariance is not symmetric or has
        no signal, or ``reg``, ``rank`` or ``weight_norm`` is out of range.
    """
    _check(leadfield, covariance, noise, reg, weight_norm)
    whitener = np.eye(len(covariance)) if noise is None else _inverse_root(noise, rank)
    white = whitener @ covariance @ whitener.T
    inverse, used = _regularised_inverse((white + white.T) / 2, reg, rank)
    fixed = leadfield.ndim == 2
    free = leadfield[:, :, None] if fixed else leadfield
    gain = (whitener @ free.reshape(len(white), -1)).reshape(free.shape).transpose(1, 0, 2)
    orientations = None
    if not fixed:
        orientations = _strongest(gain, inverse, weight_norm)
        orientations *= _signs(orientations, normals)[:, None]
        gain = gain @ orientations[:, :, None]
    best = gain[:, :, 0]
    numerator = best @ inverse
    if weight_norm == "unit-gain":
        size = np.einsum("sc,sc->s", numerator, best)
    else:
        size = np.linalg.norm(numerator, axis=1)
    scale = np.divide(1.0, size, out=np.zeros_like(size), where=size > 0)
    return Beamformer(scale[:, None] * numerator @ whitener, orientations, used)


def _strongest(gain: Floats, inverse: Floats, weight_norm: str) -> Floats:
    """Return the unit orientation of largest power of each source, axes (source, xyz).

    Of those directions that channels see, by the generalised eigenvalue problem of
    g^T C^-1 g against g^T C^-2 g, or against the identity for unit gain.
    """
    out = np.zeros((len(gain), gain.shape[2]))
    half = inverse @ gain
    first = np.swapaxes(gain, 1, 2) @ half
    second = np.swapaxes(half, 1, 2) @ half
    _, values, right = np.linalg.svd(gain, full_matrices=False)
    n_seen = (values > LEADFIELD_TOLERANCE * values[:, :1]).sum(axis=1)
    n_seen[values[:, 0] == 0] = 0
    for source, n in enumerate(n_seen):
        if n == 0:
            continue
        seen = right[source, :n].T
        a, b = (seen.T @ m[source] @ seen for m in (first, second))
        if weight_norm == "unit-gain":
            direction = np.linalg.eigh(a)[1][:, 0]  # power is 1 / g^T C^-1 g
        else:
            root = np.linalg.inv(np.linalg.cholesky(b))
            direction = root.T @ np.linalg.eigh(root @ a @ root.T)[1][:, -1]
        oriented = seen @ direction
        out[source] = oriented / np.linalg.norm(oriented)
    return out


def _signs(orientations: Floats, normals: Floats | None) -> Floats:
    if normals is None:
        largest = np.argmax(np.abs(orientations), axis=1)
        along = orientations[np.arange(len(orientations)), largest]
    else:
        normals = np.asarray(normals, dtype=np.float64)
        if normals.shape != orientations.shape:
            raise KernelInputError(
                where="normals", expected=f"shape {orientations.shape}", got=f"{normals.shape}"
            )
        along = np.sum(orientations * normals, axis=1)
    return np.where(along < 0, -1.0, 1.0)


def _regularised_inverse(matrix: Floats, reg: float, rank: int | None) -> tuple[Floats, int]:
    """Return the inverse of a matrix with loaded diagonal, inside its signal's space."""
    values, vectors = np.linalg.eigh(matrix)
    used = _count(values, rank)
    kept = values[-used:] + reg * float(np.mean(values))
    return (vectors[:, -used:] / kept) @ vectors[:, -used:].T, used


def _inverse_root(noise: Floats, rank: int | None) -> Floats:
    """Return what makes noise white; channels come to one size first, units being what they are."""
    size = np.sqrt(np.clip(np.diag(noise), 0.0, None))
    size = np.where(size > 0, size, 1.0)
    values, vectors = np.linalg.eigh((noise + noise.T) / (2 * np.outer(size, size)))
    used = _count(values, rank)
    root: Floats = (vectors[:, -used:] / np.sqrt(values[-used:])) @ vectors[:, -used:].T / size
    return root


def _count(values: Floats, rank: int | None) -> int:
    n_signal = int(np.count_nonzero(values > RANK_TOLERANCE * values[-1])) if values[-1] > 0 else 0
    if n_signal == 0:
        raise KernelInputError(where="covariance", expected="some variance", got="none")
    if rank is None:
        return n_signal
    if not 1 <= rank <= len(values):
        raise KernelInputError(where="rank", expected=f"1 to {len(values)}", got=str(rank))
    return min(rank, n_signal)


def _check(
    leadfield: Floats, covariance: Floats, noise: Floats | None, reg: float, weight_norm: str
) -> None:
    if leadfield.ndim not in (2, 3) or leadfield.shape[2:] not in ((), (3,)):
        raise KernelInputError(
            where="leadfield",
            expected="axes (channel, source, xyz) or (channel, source)",
            got=f"shape {leadfield.shape}",
        )
    shape = (len(leadfield), len(leadfield))
    for name, matrix in (("covariance", covariance), ("noise", noise)):
        if matrix is None:
            continue
        if matrix.shape != shape:
            raise KernelInputError(where=name, expected=f"shape {shape}", got=f"{matrix.shape}")
        if not np.isfinite(matrix).all():
            raise KernelInputError(where=name, expected="finite values", got="NaN or infinity")
        if not np.allclose(matrix, matrix.T, rtol=1e-5, atol=1e-6 * np.abs(matrix).max()):
            raise KernelInputError(where=name, expected="a symmetric matrix", got="another")
    if not np.isfinite(leadfield).all():
        raise KernelInputError(where="leadfield", expected="finite values", got="NaN or infinity")
    if not (np.isfinite(reg) and reg >= 0):
        raise KernelInputError(where="reg", expected="0 or more", got=f"{reg:g}")
    if weight_norm not in WEIGHT_NORMS:
        raise KernelInputError(
            where="weight_norm", expected=" or ".join(WEIGHT_NORMS), got=repr(weight_norm)
        )
