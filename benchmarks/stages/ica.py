"""Independent components: covariance, whitening, Picard."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.comparison import Comparison, Figure
from benchmarks.material import Material
from brainforge.kernels.apply import apply_matrix
from brainforge.kernels.gram import gram
from brainforge.kernels.picard import picard
from brainforge.kernels.whitening import pca_whitening

# where the product's artifact stage ends its fit, and the peer beside it: a share of the gradient's
# sampling error, one over the root of the number of samples
from brainforge.learners.artifact_separation import GRADIENT_SHARE as GRADIENT_SHARE

N_COMPONENTS, TOL, MAX_ITER = 40, 1e-6, 500
#: excess kurtosis from which a component counts as non-Gaussian
KURTOSIS = 0.5


def build(material: Material) -> Comparison:
    x32 = material.working
    n = min(N_COMPONENTS, material.n_channels // 2)

    def peer(_: int) -> Any:
        return peer_ica(n).fit(material.working_raw, verbose="error")

    def ours(threads: int) -> Any:
        white = pca_whitening(gram(x32, remove_mean=True).mean(), n)
        x = apply_matrix(white.whitener, x32, n_threads=threads)
        x -= x.mean(axis=1, keepdims=True)
        return x, picard(x, ortho=True, tol=TOL, max_iter=MAX_ITER, n_threads=threads)

    def figures(_: Any, got: Any) -> list[Figure]:
        x, fit = got
        distance, count = amari_non_gaussian(fit.matrix, peer_unmixing(x), x)
        return [
            Figure("gradient at the end", fit.gradient_norm, TOL),
            Figure(
                f"Amari distance from python-picard over {count} components of excess kurtosis "
                f"beyond {KURTOSIS:g}, same data and start", distance, 1e-2,
            ),
        ]  # fmt: skip

    return Comparison(
        title=f"ICA, {n} components",
        amount=material.working_size,
        peer="mne.preprocessing.ICA.fit, Picard-O extended, tol 1e-6, float64",
        ours="gram, pca_whitening, apply_matrix, picard (ortho), float32 data, tol 1e-6",
        run_peer=peer,
        run_ours=ours,
        figures=figures,
        prepare_peer=(lambda: material.working_raw,),
    )


def peer_unmixing(x: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return python-picard's unmixing of whitened data, from the identity."""
    import picard as peer

    return peer.picard(
        x.astype(np.float64), w_init=np.eye(len(x)), tol=TOL, max_iter=MAX_ITER, ortho=True,
        extended=True, whiten=False, centering=False,
    )[1]  # fmt: skip


def peer_ica(n: int, tol: float = TOL) -> Any:
    """Return MNE's ICA with the product's density and constraint."""
    import mne

    return mne.preprocessing.ICA(
        n, method="picard", max_iter=MAX_ITER, rng=0,
        fit_params={"ortho": True, "extended": True, "tol": tol},
    )  # fmt: skip


def amari_non_gaussian(
    first: npt.NDArray[Any], second: npt.NDArray[Any], x: npt.NDArray[Any]
) -> tuple[float, int]:
    """Return the Amari distance of two unmixings over the non-Gaussian components, and how many.

    Gaussian components have no direction of their own, so their part of the product means
    nothing. Components of both sides are matched one to one by the product's size.
    """
    from scipy.optimize import linear_sum_assignment

    sources = first @ x
    power = (sources**2).mean(axis=1)
    kurtosis = (sources**4).mean(axis=1) / power**2 - 3
    kept = np.flatnonzero(np.abs(kurtosis) > KURTOSIS)
    product = np.abs(first @ np.linalg.inv(second))
    product /= product.max(axis=1, keepdims=True)
    rows, columns = linear_sum_assignment(-product[kept])
    part = product[np.ix_(kept[rows], columns)]
    m = len(part)
    if m < 2:
        return 0.0 if m else float("nan"), m
    total = (part / part.max(axis=1, keepdims=True)).sum()
    total += (part / part.max(axis=0, keepdims=True)).sum()
    return float((total - 2 * m) / (2 * m * (m - 1))), m
