"""Signal-space projection: take a few fixed topographies out of the data.

References
----------
Uusitalo & Ilmoniemi (1997), Signal-space projection method for separating MEG or EEG into
components. Medical & Biological Engineering & Computing 35.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from brainforge.errors import KernelInputError
from brainforge.kernels.dispatch import kernel
from brainforge.kernels.hfc import removal

Floats = npt.NDArray[np.float64]


@kernel(device=None, why_not="works on a channels x channels matrix once")
def ssp_projector(
    vectors: Floats, good: npt.NDArray[np.bool_] | None = None, tolerance: float = 1e-2
) -> tuple[Floats, int]:
    """Return the projector that removes the span of ``vectors``, and its dimension.

    Parameters
    ----------
    vectors : float64 array, axes (component, channel)
        Need not be orthogonal.
    good : bool array, axes (channel,) | None
        Channels that the topographies are fitted on; None for all.
    tolerance : float
        Singular values under this share of the largest are taken for the same topography twice.

    Returns
    -------
    matrix : float64 array, axes (channel, channel)
        Over good channels I - U U', U orthonormal over them. A bad channel's row takes off what
        the good ones estimate; its column reaches no other channel.
    n_removed : int

    Raises
    ------
    KernelInputError
    """
    if vectors.ndim != 2 or not np.isfinite(vectors).all():
        raise KernelInputError(
            where="vectors",
            expected="finite numbers, axes (component, channel)",
            got=f"shape {vectors.shape}" + ("" if vectors.ndim != 2 else " with NaN or infinity"),
        )
    norm = np.linalg.norm(vectors, axis=1)
    return removal((vectors[norm > 0] / norm[norm > 0, None]).T, good, tolerance)


def ssp_vectors(products: Floats, n_components: int) -> tuple[Floats, Floats]:
    """Return the strongest topographies of data, from their sums of products.

    ``products`` of an event-locked average gives the vectors of that event, those summed over
    epochs or a whole (empty-room) recording give the directions of most power. Channels of one
    kind at a time: units decide what is strong.

    Parameters
    ----------
    products : float64 array, axes (channel, channel)
        X X' of data, or a covariance.
    n_components : int

    Returns
    -------
    vectors : float64 array, axes (component, channel)
        Orthonormal, strongest first; the largest entry of each is positive.
    explained : float64 array, axes (component,)
        Share of the power.

    Raises
    ------
    KernelInputError
    """
    if products.ndim != 2 or products.shape[0] != products.shape[1]:
        raise KernelInputError(
            where="products", expected="as many rows as columns", got=f"shape {products.shape}"
        )
    if not 0 <= n_components <= len(products):
        raise KernelInputError(
            where="n_components", expected=f"0 to {len(products)}", got=str(n_components)
        )
    values, vectors = np.linalg.eigh((products + products.T) / 2)
    top = vectors[:, ::-1][:, :n_components].T
    if top.size:
        peak = np.take_along_axis(top, np.abs(top).argmax(axis=1)[:, None], axis=1)
        top = top * np.sign(peak)
    total = max(float(np.maximum(values, 0).sum()), np.finfo(float).tiny)
    return top, np.maximum(values[::-1][:n_components], 0.0) / total
