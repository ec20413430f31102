"""Components out of principal components: independent ones, or the principal ones themselves."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from brainforge.errors import KernelInputError
from brainforge.kernels.apply import apply_matrix
from brainforge.kernels.classify import Verdict
from brainforge.kernels.namespace import contiguous
from brainforge.kernels.picard import Unmixing, picard
from brainforge.kernels.whitening import Whitening
from brainforge.learners.artifact_plan import Plan, as_input_error
from brainforge.learners.traces import Traces, mean_products

#: columns that ICA is fitted on at most, evenly spread: of 30 minutes at 250 Hz every second one,
#: which tells nearly as much as all, for neighbours are alike below 100 Hz
MOST_FITTED = 250_000
#: the fit ends where the gradient's largest entry is this share of its sampling error, one over
#: the root of the number of samples; the root mean square of all entries is a fifth of that then.
#: What the error alone decides, above all how Gaussian components mix, would take many iterations
#: more and mean nothing
GRADIENT_SHARE, MAX_ITER = 0.25, 200

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Separation:
    """Components of unit variance.

    Parameters
    ----------
    unmixing : float64 array, axes (component, principal component)
    topographies : float64 array, axes (channel, component)
    note : str
        How the fit went.
    verdicts : tuple of Verdict
        What the last components are, where that is known from how they were made.
    """

    unmixing: Floats
    topographies: Floats
    note: str = ""
    verdicts: tuple[Verdict, ...] = ()

    @property
    def n_fitted(self) -> int:
        """Number of components that were separated, not made from events."""
        return len(self.unmixing) - len(self.verdicts)

    def joined(self, other: Separation) -> Separation:
        """Return these components and, after them, others that were made from events."""
        return Separation(
            np.concatenate([self.unmixing, other.unmixing]),
            np.concatenate([self.topographies, other.topographies], axis=1),
            self.note,
            (*self.verdicts, *other.verdicts),
        )


def sources_of(part: Separation, traces: Traces, threads: int) -> Traces:
    """Return the components' time courses."""
    return replace(traces, x=apply_matrix(part.unmixing, traces.x, n_threads=threads))


def separate(plan: Plan, traces: Traces, threads: int, start: Floats | None = None) -> Separation:
    """Return independent components, or the principal ones where there is no ICA.

    ``start`` are topographies to begin from, axes (channel of the plan, component), strongest
    first; their number need not be that of the components.
    """
    x, dewhitener = traces.x, plan.white.dewhitener
    if plan.method != "ica":
        return unit_variance(Separation(np.eye(x.shape[0]), dewhitener), mean_products(x))
    step = -(-x.shape[1] // MOST_FITTED)
    fitted = contiguous(x[:, ::step]) if step > 1 else x
    tol = GRADIENT_SHARE / float(np.sqrt(fitted.shape[1]))
    first = None if start is None else nearest_rotation(plan.white.whitener @ start).T
    try:
        fit = picard(fitted, first, ortho=True, tol=tol, max_iter=MAX_ITER, n_threads=threads)
    except KernelInputError as error:
        raise as_input_error(error) from error
    part = Separation(fit.matrix, dewhitener @ np.linalg.inv(fit.matrix))
    # the fit keeps unit variance on the samples it saw
    part = unit_variance(part, None)
    order = np.argsort(-_strength(part, plan.white), kind="stable")
    return Separation(part.unmixing[order], part.topographies[:, order], _fit_note(fit, step))


def nearest_rotation(fields: Floats) -> Floats:
    """Return the orthogonal matrix whose first columns are nearest to the given ones.

    Parameters
    ----------
    fields : float64 array, axes (principal component, component)
        Of whitened signals. Those that are too many are left out; those that are missing are
        orthogonal to the others.

    Returns
    -------
    float64 array, axes (principal component, component), square
    """
    n = len(fields)
    u, _, v = np.linalg.svd(fields[:, :n])
    columns = u[:, : len(v)] @ v
    return np.column_stack([columns, u[:, len(v) :]])


def unit_variance(part: Separation, covariance: Floats | None) -> Separation:
    """Return components of unit variance with a fixed sign (the strongest channel positive).

    ``covariance`` is that of the principal components; None where the variance is 1 already.
    """
    u, fields = part.unmixing, part.topographies
    if not len(u):
        return part
    variance = np.ones(len(u))
    if covariance is not None:
        variance = np.einsum("ij,jk,ik->i", u, covariance, u)
    size = np.sqrt(np.maximum(variance, np.finfo(float).tiny))
    strongest = fields[np.abs(fields).argmax(axis=0), np.arange(len(size))]
    size = np.where(strongest < 0, -size, size)
    return replace(part, unmixing=u / size[:, None], topographies=fields * size)


def _fit_note(fit: Unmixing, step: int) -> str:
    state = "converged" if fit.converged else "not converged"
    if step > 1:
        state = f"on one sample of {step} {state}"
    first = f" ({fit.n_iter_coarse} more on a subsample)" if fit.n_iter_coarse else ""
    return f"Picard {state} after {fit.n_iter} iterations{first}, gradient {fit.gradient_norm:.1g}"


def _strength(part: Separation, white: Whitening) -> Floats:
    """Return the scaled variance that each component brings to the channels."""
    return np.sum((part.topographies / white.scale[:, None]) ** 2, axis=0)
