"""Figures that tell a bad channel from its neighbours, all read off Gram matrices.

Nothing here decides: every function returns a figure for each channel, and the policy with its
thresholds lives with the learner that writes the evidence.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from brainforge.errors import KernelInputError
from brainforge.kernels.parallel import parallel_map

Floats = npt.NDArray[np.float64]

#: a normal distribution's standard deviation over its median absolute deviation
MAD_TO_SD = 1.4826


def robust_z(values: Floats, floor: float = 1e-12) -> Floats:
    """Return (value - median) / (1.4826 * median absolute deviation), axes (channel,).

    ``floor`` bounds the denominator, so that equal values give 0 and not NaN. KernelInputError
    where a value is not finite.
    """
    if values.size == 0:
        return np.zeros(0)
    if not np.isfinite(values).all():
        raise KernelInputError(
            where="values", expected="finite numbers",
            got=f"NaN or infinity at {np.flatnonzero(~np.isfinite(values))[:5].tolist()}",
            fix="leave those channels out",
        )  # fmt: skip
    off = values - np.median(values)
    return off / max(MAD_TO_SD * float(np.median(np.abs(off))), floor)


def prediction(covariance: Floats, ridge: float = 1e-3) -> tuple[Floats, Floats]:
    """Predict every channel from all others by ridge regression.

    Parameters
    ----------
    covariance : float64 array, axes (channel, channel)
        Symmetric, positive on the diagonal.
    ridge : float
        Added to the diagonal of the correlation matrix.

    Returns
    -------
    weights : float64 array, axes (predictor, predicted channel)
        In the units of the covariance; 0 on the diagonal.
    unexplained : float64 array, axes (channel,)
        Share (0..1) of the channel's variance that the others do not predict.

    Raises
    ------
    KernelInputError
        Not square, not finite, a channel without variance, a ridge below 0, or channels that
        depend on each other with a ridge too small to tell them apart.
    """
    _check_square(covariance)
    if not (np.isfinite(ridge) and ridge >= 0):
        raise KernelInputError(where="ridge", expected="0 or more", got=f"{ridge:g}")
    scale = np.sqrt(np.diagonal(covariance))
    if not (np.isfinite(scale).all() and (scale > 0).all()):
        raise KernelInputError(
            where="covariance",
            expected="positive variances",
            got=f"{np.count_nonzero(~(scale > 0))} others",
            fix="leave flat channels out",
        )
    n = len(scale)
    if n < 2:
        return np.zeros((n, n)), np.ones(n)
    correlation = covariance / np.outer(scale, scale)
    precision = _inverse(correlation + ridge * np.eye(n))
    diagonal = np.diagonal(precision)
    standard = -precision / diagonal
    np.fill_diagonal(standard, 0.0)
    error = 1 - 2 * np.sum(standard * correlation, axis=0)
    error += np.einsum("ij,ij->j", standard, correlation @ standard)
    return standard * scale[None, :] / scale[:, None], np.clip(error, 0.0, 1.0)


def _inverse(correlation: Floats) -> Floats:
    try:
        inverse = np.asarray(np.linalg.inv(correlation), dtype=np.float64)
    except np.linalg.LinAlgError:
        inverse = np.zeros_like(correlation)
    if (np.diagonal(inverse) > 0).all():
        return inverse
    raise KernelInputError(
        where="covariance",
        expected=f"{len(correlation)} independent channels",
        got=f"rank {np.linalg.matrix_rank(correlation, hermitian=True)}",
        fix="give a ridge above 0",
    )


def strongest_correlation(covariance: Floats, n_best: int = 5) -> Floats:
    """Return the mean of each channel's ``n_best`` largest absolute correlations, (channel,).

    KernelInputError where the matrix is not square or not finite, or ``n_best`` is below 1.
    """
    _check_square(covariance)
    _check_count("n_best", n_best)
    n = len(covariance)
    if n < 2:
        return np.zeros(n)
    scale = np.sqrt(np.maximum(np.diagonal(covariance), np.finfo(float).tiny))
    correlation = np.abs(covariance / np.outer(scale, scale))
    np.fill_diagonal(correlation, -1.0)
    best = min(n_best, n - 1)
    return np.sort(correlation, axis=1)[:, -best:].mean(axis=1)


def lof_scores(gram: Floats, n_neighbors: int = 20, epsilon: float = 0.0) -> Floats:
    """Return local outlier factors of channels taken as points in sample space, (channel,).

    Near 1 for a channel as close to its nearest ones as they are to theirs. The squared
    distance of two channels is G_ii + G_jj - 2 G_ij, so the samples are not needed.

    Parameters
    ----------
    gram : float64 array, axes (channel, channel)
        Sums of products.
    n_neighbors : int
        Bounded by the number of channels - 1.
    epsilon : float
        Added to mean reachability distances. 0 makes the score free of units; scikit-learn
        adds 1e-10, which is as large as distances in tesla are.

    Raises
    ------
    KernelInputError
        Not square, not finite, negative power, fewer than one neighbour, or ``epsilon`` below 0.

    References
    ----------
    Breunig et al. (2000), LOF: identifying density-based local outliers. SIGMOD.
    """
    _check_square(gram)
    _check_count("n_neighbors", n_neighbors)
    if not (np.isfinite(epsilon) and epsilon >= 0):
        raise KernelInputError(where="epsilon", expected="0 or more", got=f"{epsilon:g}")
    if (np.diagonal(gram) < 0).any():
        raise KernelInputError(
            where="gram", expected="powers of 0 or more on the diagonal",
            got=f"{np.diagonal(gram).min():g}",
        )  # fmt: skip
    n = len(gram)
    k = min(n_neighbors, n - 1)
    if k < 1:
        return np.ones(n)
    power = np.diagonal(gram)
    distance = np.sqrt(np.maximum(power[:, None] + power[None, :] - 2 * gram, 0.0))
    np.fill_diagonal(distance, np.inf)
    nearest = np.argsort(distance, axis=1, kind="stable")[:, :k]
    near = np.take_along_axis(distance, nearest, axis=1)
    reach = np.maximum(near, near[nearest, -1]).mean(axis=1) + epsilon
    # identical channels have distance 0 and the same density
    reach = np.maximum(reach, np.finfo(float).tiny ** 0.5)
    return (reach[:, None] / reach[nearest]).mean(axis=1)


def balanced_covariance(chunks: npt.NDArray[np.float32]) -> Floats:
    """Return the mean of the chunks' products, each over its median channel's power.

    A few chunks of strong interference would otherwise decide how a channel is predicted, and
    its gain at their time would pass for its usual one.

    Parameters
    ----------
    chunks : float32 array, axes (chunk, channel, channel)
        Mean products.

    Returns
    -------
    float64 array, axes (channel, channel)
        Dimensionless; chunks without power are left out.
    """
    n = chunks.shape[1]
    power = np.median(np.diagonal(chunks, axis1=1, axis2=2), axis=1) if n else np.zeros(0)
    use = power > 0
    share = np.zeros(len(chunks))
    share[use] = 1.0 / power[use] / max(int(np.count_nonzero(use)), 1)
    total = np.zeros((n, n))
    for weight, chunk in zip(share, chunks):
        total += weight * chunk
    return total


def gain_courses(chunks: npt.NDArray[np.float32], weights: Floats, *, n_threads: int = 1) -> Floats:
    """Return each channel's gain in each chunk against what the others predict.

    The gain is w'G_i / w'Gw: the regression of the channel on its prediction. It is divided by
    the median over chunks, and by the median over channels in each chunk where there are at
    least eight, so that a change common to all is no change of gain.

    Parameters
    ----------
    chunks : float32 array, axes (chunk, channel, channel)
        Mean products.
    weights : float64 array, axes (predictor, predicted channel)
        From `prediction`.
    n_threads : int
        Threads over chunks; hold BLAS to one thread where it is over 1.

    Returns
    -------
    float64 array, axes (chunk, channel)
        Near 1; NaN where a chunk predicts nothing.

    References
    ----------
    Robinson et al. (2022), Cross-axis projection error in optically pumped magnetometers and
    its implication for magnetoencephalography systems. NeuroImage 247.
    """
    if chunks.ndim != 3 or chunks.shape[1:] != weights.shape:
        raise KernelInputError(
            where="chunks",
            expected=f"axes (chunk, {weights.shape[0]}, {weights.shape[1]})",
            got=f"shape {chunks.shape}",
        )
    single = weights.astype(np.float32)
    gains = np.full((len(chunks), weights.shape[1]), np.nan)

    def one(at: int) -> None:
        along = (single * chunks[at]).sum(axis=0, dtype=np.float64)
        power = (single * (chunks[at] @ single)).sum(axis=0, dtype=np.float64)
        np.divide(along, power, out=gains[at], where=power > 0)

    parallel_map(one, range(len(chunks)), n_threads)
    gains = _over_median(gains, axis=0)
    return _over_median(gains, axis=1) if gains.shape[1] >= 8 else gains


def _over_median(gains: Floats, axis: int) -> Floats:
    """Return gains over the median of those that are known, NaN where there is none."""
    if gains.size == 0:
        return gains
    known = np.isfinite(gains)
    count = known.sum(axis=axis, keepdims=True)
    ranked = np.sort(np.where(known, gains, np.inf), axis=axis)
    last = gains.shape[axis] - 1
    low, high = (
        np.take_along_axis(ranked, np.clip(at, 0, last), axis)
        for at in ((count - 1) // 2, count // 2)
    )
    middle = np.where(count > 0, (low + high) / 2, 0.0)
    return np.divide(gains, middle, out=np.full_like(gains, np.nan), where=middle != 0)


@dataclass(frozen=True)
class GainDrift:
    """How far gains wander over a recording; every array has axes (channel,).

    ``change`` is the range of the smooth course through the gains, as a share of their median;
    ``p_value`` says how often scatter alone would fit as well. NaN and 1 where not judged.
    """

    change: Floats
    p_value: Floats


def gain_drift(gains: Floats, samples: Floats, times: Floats, max_order: int = 3) -> GainDrift:
    """Fit a smooth course to each channel's gain and test it against no change.

    Parameters
    ----------
    gains : float64 array, axes (chunk, channel)
    samples : float64 array, axes (chunk, channel)
        Weight of each gain: its number of believed samples; 0 leaves it out.
    times : float64 array, axes (chunk,)
    max_order : int
        Of the polynomial; it takes five chunks an order.

    Returns
    -------
    GainDrift
        Channels with fewer than six chunks are not judged.
    """
    if gains.shape != samples.shape or gains.shape[0] != len(times):
        raise KernelInputError(
            where="gains", expected=f"shape {samples.shape}", got=f"{gains.shape}"
        )
    n = gains.shape[1]
    change, p_value = np.full(n, np.nan), np.ones(n)
    weights = np.where(np.isfinite(gains), samples, 0.0)
    # most channels are believed at the same samples: one fit for all of them
    alike, group = np.unique(weights, axis=1, return_inverse=True)
    for at, weight in enumerate(alike.T):
        use, members = weight > 0, np.flatnonzero(group.ravel() == at)
        count = int(np.count_nonzero(use))
        if count >= 6:
            order = min(max_order, count // 5)
            part = gains[np.ix_(use, members)]
            change[members], p_value[members] = _drift(part, weight[use], times[use], order)
    return GainDrift(change, p_value)


def _drift(gains: Floats, weight: Floats, at: Floats, order: int) -> tuple[Floats, Floats]:
    """Return range over median of the fitted courses and the p-values of their F tests.

    ``gains`` has axes (chunk, channel); both results have axes (channel,).
    """
    from scipy.special import fdtrc

    tiny = np.finfo(float).tiny
    span = max(float(np.ptp(at)), tiny)
    design = np.polynomial.legendre.legvander(2 * (at - at.min()) / span - 1, order)
    root = np.sqrt(weight / weight.mean())[:, None]
    q, _ = np.linalg.qr(design * root)
    target = gains * root
    # the first column spans the constant, the others what changes
    parts = q.T @ target
    power = np.sum(target**2, axis=0)
    explained = np.sum(parts[1:] ** 2, axis=0)
    left = np.maximum(power - np.sum(parts**2, axis=0), np.maximum(1e-12 * power, tiny))
    free = len(gains) - order - 1
    courses = (q @ parts) / root
    middle = np.maximum(np.abs(np.median(courses, axis=0)), tiny)
    change = np.ptp(courses, axis=0) / middle
    return change, fdtrc(order, free, explained / order / (left / free))


def _check_count(where: str, count: int) -> None:
    if count < 1:
        raise KernelInputError(where=where, expected="1 or more", got=str(count))


def _check_square(matrix: Floats) -> None:
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise KernelInputError(
            where="matrix", expected="as many rows as columns", got=f"shape {matrix.shape}"
        )
    if not np.isfinite(matrix).all():
        raise KernelInputError(where="matrix", expected="finite numbers", got="NaN or infinity")
