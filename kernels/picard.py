"""Picard: independent component analysis by preconditioned L-BFGS, on float32 data.

Ablin, Cardoso and Gramfort 2018, "Faster independent component analysis by preconditioning
with Hessian approximations", IEEE Trans. Signal Process. 66; with the orthogonal constraint
2018, "Faster ICA under orthogonal constraint", ICASSP. The extended density chooses a super-
or sub-Gaussian one for each source by the sign of E[psi'] E[y^2] - E[psi y].

Near the optimum the fall of the log-likelihood drowns in float32 rounding; there a step is
judged by the slope along it instead, by the approximate Wolfe conditions of Hager and Zhang
2005 (SIAM J. Optim. 16). That is what lets the gradient go down to 1e-6.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.errors import KernelInputError
from brainforge.kernels.gram import gram
from brainforge.kernels.ica_moments import Moments, source_moments
from brainforge.kernels.namespace import contiguous, dtype_name, is_device, namespace, to_host
from brainforge.kernels.parallel import parallel_map, single_threaded_blas

#: rounding of one source's mean log-likelihood
LOSS_ROUNDING = 1e-7
#: share of the gradient's sampling error, one over the root of the number of samples, at which
#: the fit on a subsample ends
COARSE_SHARE = 0.1
#: every this-many-th sample makes the subsample of a fit without a start
COARSE = 8
LINE_TRIES = 12
#: an eigenvalue of the covariance below this share of the largest is float32 rounding
RANK_FLOOR = 1e-7

Floats = npt.NDArray[np.float64]
Array32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Unmixing:
    """Result of `picard`.

    Parameters
    ----------
    matrix : float64 array, axes (source, component)
        ``matrix @ x`` are the sources.
    signs : float64 array, axes (source,)
        1 for super-Gaussian, -1 for sub-Gaussian sources.
    n_iter : int
        Iterations on all samples.
    n_iter_coarse : int
        Iterations on the subsample before.
    gradient_norm : float
        Largest absolute entry of the relative gradient at the end.
    converged : bool
        Whether that is at most ``tol``.
    """

    matrix: Floats
    signs: Floats
    n_iter: int
    n_iter_coarse: int
    gradient_norm: float
    converged: bool


def picard(
    x: Array32,
    start: Floats | None = None,
    *,
    ortho: bool = False,
    extended: bool = True,
    tol: float = 1e-6,
    max_iter: int = 500,
    memory: int = 7,
    lambda_min: float = 0.01,
    coarse: int | None = None,
    n_threads: int = 1,
) -> Unmixing:
    """Return the matrix that makes the rows of ``x`` as independent as it can.

    Parameters
    ----------
    x : float32 array, axes (component, sample)
        Centred and whitened. Where it lies on a device its moments are made there, and only
        they come home.
    start : float64 array, axes (source, component) | None
        Where to start, e.g. the unmixing of the same recording when it was shorter; the identity
        where None, so the result is deterministic.
    ortho : bool
        Keep the sources uncorrelated and of unit variance (Picard-O); the start is made so, with
        the least change. Components of noise then cost fewer iterations.
    extended : bool
        Let each source be super- or sub-Gaussian; otherwise all are super-Gaussian.
    tol : float
        Largest absolute entry of the relative gradient to stop at. Float32 data carry it to
        about 2e-7.
    max_iter : int
        Most iterations on all samples.
    memory : int
        Pairs that L-BFGS remembers.
    lambda_min : float
        Eigenvalues of the Hessian approximation are raised to it.
    coarse : int | None
        Fit on every ``coarse``-th sample first, as far as 20 samples for each squared number of
        components allow; 1 for all samples from the start. None: 8, and 1 with a ``start``, which
        is taken to be near.
    n_threads : int
        The result does not depend on it.

    Raises
    ------
    KernelInputError
        Not float32 and 2-D, not finite, fewer samples than components, a flat row, rows that
        depend on each other (their rank is named), a start of another shape or singular, or a
        tolerance, floor, memory or number of iterations that is too small.
    """
    _check_options(tol, max_iter, memory, lambda_min, coarse)
    x = _checked(x)
    n, n_samples = x.shape
    options = _Options(ortho, extended, memory, lambda_min)
    with single_threaded_blas():
        covariance = _covariance(x, n_threads)
        w = _started(start, covariance, ortho)
        step = min(coarse or (COARSE if start is None else 1), n_samples // (20 * n * n))
        n_coarse = 0
        if step >= 2:
            rough = _fit_part(contiguous(x[:, ::step]), options, w, tol, max_iter, n_threads)
            w, n_coarse = rough.point.w, rough.n_iter
        whole = _Problem(x, covariance, options, n_threads)
        done = _minimise(whole, whole.point(w), tol, max_iter)
    point = done.point
    return Unmixing(
        point.w, point.signs, done.n_iter, n_coarse, point.norm, bool(point.norm <= tol)
    )


def _fit_part(
    part: Array32, options: _Options, w: Floats, tol: float, max_iter: int, n_threads: int
) -> _Done:
    """Fit on a subsample, as far as its sampling error lets it mean something."""
    rough = max(tol, COARSE_SHARE / float(np.sqrt(part.shape[1])))
    problem = _Problem(part, _covariance(part, n_threads), options, n_threads)
    return _minimise(problem, problem.point(w), rough, max_iter)


def _started(start: Floats | None, covariance: Floats, ortho: bool) -> Floats:
    """Return the first unmixing; with ``ortho`` the nearest that makes sources uncorrelated."""
    n = len(covariance)
    w = np.eye(n) if start is None else np.array(start, dtype=np.float64)
    if w.shape != (n, n) or not np.isfinite(w).all():
        raise KernelInputError(
            where="start", expected=f"finite numbers, shape {(n, n)}", got=f"shape {w.shape}"
        )
    values, vectors = np.linalg.eigh(w @ covariance @ w.T)
    if not values[0] > RANK_FLOOR * values[-1]:
        rank = int(np.count_nonzero(values > RANK_FLOOR * values[-1]))
        raise KernelInputError(
            where="x" if start is None else "x or start", expected=f"{n} independent rows",
            got=f"rank {rank}", fix="whiten onto fewer components",
        )  # fmt: skip
    return (vectors / np.sqrt(values)) @ vectors.T @ w if ortho else w


def _check_options(
    tol: float, max_iter: int, memory: int, lambda_min: float, coarse: int | None
) -> None:
    least = {"max_iter": (max_iter, 0), "memory": (memory, 1), "coarse": (coarse or 1, 1)}
    for where, (value, lowest) in least.items():
        if value < lowest:
            raise KernelInputError(where=where, expected=f"{lowest} or more", got=str(value))
    for where, size in (("tol", tol), ("lambda_min", lambda_min)):
        if not (np.isfinite(size) and size > 0):
            raise KernelInputError(where=where, expected="a number above 0", got=f"{size:g}")


def _checked(x: Array32) -> Array32:
    n, n_samples = x.shape if x.ndim == 2 else (0, 0)
    if not n or dtype_name(x) != "float32":
        raise KernelInputError(
            where="x", expected="float32, components x samples",
            got=f"{x.dtype} of {tuple(x.shape)}",
        )  # fmt: skip
    if n_samples <= n:
        raise KernelInputError(
            where="x",
            expected=f"more samples than the {n} components",
            got=str(n_samples),
            fix="give more data or ask for fewer components",
        )
    power = to_host(_power(x))
    if not np.isfinite(power).all():
        rows = np.flatnonzero(~np.isfinite(power))[:5].tolist()
        raise KernelInputError(
            where="x", expected="finite numbers", got=f"NaN or infinity in rows {rows}",
            fix="leave those samples out",
        )  # fmt: skip
    if not power.min() > 0:
        raise KernelInputError(
            where="x", expected="rows with variance",
            got=f"flat rows {np.flatnonzero(power == 0)[:5].tolist()}", fix="leave them out",
        )  # fmt: skip
    return x if is_device(x) or x.strides[1] == x.itemsize else np.ascontiguousarray(x)


def _power(x: Any) -> Any:
    if is_device(x):
        return namespace(x).sum(x * x, axis=1)
    return np.einsum("ij,ij->i", x, x)


@dataclass(frozen=True)
class _Options:
    ortho: bool
    extended: bool
    memory: int
    lambda_min: float


@dataclass(frozen=True)
class _Point:
    """One unmixing matrix with all that follows from it."""

    w: Floats
    moments: Moments
    covariance: Floats
    signs: Floats
    loss: float
    gradient: Floats

    @property
    def norm(self) -> float:
        return float(np.abs(self.gradient).max())


class _Problem:
    """The extended ICA likelihood of one data set, and how to move on it."""

    def __init__(self, x: Array32, covariance: Floats, options: _Options, n_threads: int) -> None:
        self.options, self.n, self._covariance = options, len(covariance), covariance
        self._x, self._n_threads = x, n_threads

    def point(self, w: Floats, signs: Floats | None = None) -> _Point:
        """Evaluate at ``w``; ``signs`` None chooses the density of each source."""
        moments = source_moments(
            self._x, w, curvature=not self.options.ortho, n_threads=self._n_threads
        )
        moments = Moments(*(to_host(getattr(moments, f.name)) for f in fields(moments)))
        return self.with_signs(w, moments, w @ self._covariance @ w.T, signs)

    def with_signs(
        self, w: Floats, moments: Moments, covariance: Floats, signs: Floats | None
    ) -> _Point:
        """Return the point with each source's density fixed or chosen anew."""
        options = self.options
        if not options.extended:
            signs = np.ones(self.n)
        elif signs is None:
            excess = moments.dpsi * np.diag(covariance) - np.diag(moments.psi_y)
            signs = np.where(excess < 0, -1.0, 1.0)
        gradient = signs[:, None] * moments.psi_y
        loss = float(signs @ moments.loglik)
        if options.ortho:
            gradient = (gradient - gradient.T) / 2
        else:
            loss -= float(np.linalg.slogdet(w)[1])
            gradient = gradient - np.eye(self.n)
            if options.extended:
                gradient = gradient + covariance
                loss += 0.5 * float(np.trace(covariance))
        return _Point(w, moments, covariance, signs, loss, gradient)

    def rechosen(self, point: _Point) -> _Point:
        """Return the same point with each source's density chosen anew."""
        return self.with_signs(point.w, point.moments, point.covariance, None)

    def preconditioner(self, point: _Point) -> Callable[[Floats], Floats]:
        """Return the inverse of the regularised Hessian approximation at a point."""
        m, s, floor = point.moments, point.signs, self.options.lambda_min
        if self.options.ortho:
            curve = s * m.dpsi - s * np.diag(m.psi_y)
            h = np.maximum((curve[:, None] + curve[None, :]) / 2, floor)
            return lambda g: (g / h - (g / h).T) / 2
        h = s[:, None] * m.dpsi_y2
        if self.options.extended:
            h = h + np.diag(point.covariance)[None, :]
        # for a pair (i, j) the Hessian is [[h_ij, 1], [1, h_ji]]; for i = j it is h_ii + 1
        lowest = (h + h.T - np.sqrt((h - h.T) ** 2 + 4.0)) / 2
        np.fill_diagonal(lowest, np.diag(h) + 1.0)
        h = h + np.maximum(floor - lowest, 0.0)
        det = h * h.T - 1.0
        np.fill_diagonal(det, 1.0)
        diagonal = np.diag(h) + 1.0

        def solve(g: Floats) -> Floats:
            out = (h.T * g - g.T) / det
            np.fill_diagonal(out, np.diag(g) / diagonal)
            return out

        return solve

    def moved(self, point: _Point, direction: Floats) -> _Point:
        """Return the point one relative step further."""
        if self.options.ortho:
            from scipy.linalg import expm

            return self.point(expm(direction) @ point.w, point.signs)
        return self.point(point.w + direction @ point.w, point.signs)


@dataclass(frozen=True)
class _Done:
    point: _Point
    n_iter: int


def _minimise(problem: _Problem, point: _Point, tol: float, max_iter: int) -> _Done:
    """Run preconditioned L-BFGS from ``point``."""
    pairs: deque[tuple[Floats, Floats]] = deque(maxlen=problem.options.memory)
    for n_iter in range(max_iter):
        if point.norm <= tol:
            return _Done(point, n_iter)
        found = _line_search(problem, point, _direction(problem, point, pairs))
        if found is None and pairs:
            pairs.clear()
            found = _line_search(problem, point, _direction(problem, point, pairs))
        if found is None:
            return _Done(point, n_iter)
        new, step = found
        change = new.gradient - point.gradient
        if np.sum(step * change) > 0:
            pairs.append((step, change))
        point = problem.rechosen(new)
        if not np.array_equal(point.signs, new.signs):
            pairs.clear()
    return _Done(point, max_iter)


def _direction(problem: _Problem, point: _Point, pairs: deque[tuple[Floats, Floats]]) -> Floats:
    """Return the L-BFGS direction (two loops), preconditioned at the present point."""
    q = point.gradient.copy()
    weights: list[float] = []
    for step, change in reversed(pairs):
        weights.append(float(np.sum(step * q) / np.sum(step * change)))
        q -= weights[-1] * change
    z = problem.preconditioner(point)(q)
    for (step, change), weight in zip(pairs, reversed(weights)):
        z += (weight - np.sum(change * z) / np.sum(step * change)) * step
    return -z


def _line_search(
    problem: _Problem, point: _Point, direction: Floats
) -> tuple[_Point, Floats] | None:
    """Halve the step until it is acceptable; None where no step is."""
    slope = float(np.sum(point.gradient * direction))
    if not slope < 0:
        return None
    rounding = LOSS_ROUNDING * problem.n
    for _ in range(LINE_TRIES):
        new = problem.moved(point, direction)
        fall = point.loss - new.loss
        if np.isfinite(new.loss):
            if fall >= rounding:
                return new, direction
            if fall >= -rounding and abs(float(np.sum(new.gradient * direction))) <= -0.9 * slope:
                return new, direction
        direction, slope = direction / 2, slope / 2
    return None


def _covariance(x: Array32, n_threads: int, tile: int = 16_384) -> Floats:
    n, n_samples = x.shape
    if is_device(x):
        return to_host(gram(x).sums) / n_samples

    def part(at: int) -> Array32:
        piece = x[:, at : at + tile]
        return np.asarray(piece @ piece.T)

    total = np.zeros((n, n))
    for product in parallel_map(part, range(0, n_samples, tile), n_threads):
        total += product
    return total / n_samples
