"""Reference regression: take off what sensors far from the head predict of the MEG channels."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from brainforge.info import Info
from brainforge.measures.gram import GramResult
from brainforge.operator import Operator
from brainforge.units import MEG_KINDS

Floats = npt.NDArray[np.float64]

REFERENCE_KINDS = ("ref_mag", "ref_grad")
#: samples for every reference; fewer would fit brain
SAMPLES_PER_REFERENCE = 20
#: references that explain less than this share of the median channel's power only add their noise
LEAST_EXPLAINED = 0.02


def learn_references(
    info: Info, gram: GramResult, bads: Iterable[str] = (), ridge: float = 1e-4
) -> Operator:
    """Return the operator that regresses reference channels out of the MEG channels.

    Parameters
    ----------
    info : Info
        Channels it marks bad are bad here too; bad references are not used.
    gram : GramResult
        Of MEG and reference channels in working units, high-passed.
    bads : iterable of str
    ridge : float
        Added to the diagonal of the references' correlation matrix: many of them see the same.

    Returns
    -------
    Operator
        Over MEG and reference channels of ``info``; references stay as they are. The identity,
        with a sentence saying why, where there are no references, too few samples, or nothing
        gained. ``params`` has ``n_references`` and ``explained``, the median share of power.

    References
    ----------
    Vrba & Robinson (2001), Signal processing in magnetoencephalography. Methods 25.
    """
    bad = set(bads) | set(info.bads)
    meg = info.names_of(*MEG_KINDS)
    held = set(gram.names)
    power = dict(zip(gram.names, np.diagonal(gram.covariance)))
    references = tuple(
        n for n in info.names_of(*REFERENCE_KINDS) if n not in bad and n in held and power[n] > 0
    )
    names = (*meg, *info.names_of(*REFERENCE_KINDS))
    if not references:
        return _nothing(names, "No reference channels")
    rows = gram.rows(references)
    n_samples = int(gram.total.counts[np.ix_(rows, rows)].min())
    if n_samples < SAMPLES_PER_REFERENCE * len(references):
        why = f"References not used: {n_samples} samples are too few for {len(references)} of them"
        return _nothing(names, why)
    targets = tuple(n for n in meg if n in held)
    weights, explained = _regress(gram.covariance, rows, gram.rows(targets), ridge)
    judged = [e for n, e in zip(targets, explained) if n not in bad and power[n] > 0]
    share = float(np.median(judged)) if judged else 0.0
    if share < LEAST_EXPLAINED:
        why = f"References not used: they explain {100 * share:.1f} % of the median channel"
        return _nothing(names, why)
    index = {n: i for i, n in enumerate(names)}
    matrix = np.eye(len(names))
    matrix[np.ix_([index[n] for n in targets], [index[n] for n in references])] = -weights.T
    text = (
        f"{len(references)} reference channels regressed out; they explained "
        f"{100 * share:.0f} % of the median channel's power."
    )
    return Operator(names, matrix, text, {"n_references": len(references), "explained": share})


def _regress(
    covariance: Floats, rows: npt.NDArray[np.intp], to: npt.NDArray[np.intp], ridge: float
) -> tuple[Floats, Floats]:
    """Return weights (reference, channel) and the share of each channel's power explained."""
    variance = np.diagonal(covariance)
    scale = np.sqrt(variance[rows])
    among = covariance[np.ix_(rows, rows)] / np.outer(scale, scale)
    across = covariance[np.ix_(rows, to)] / scale[:, None]
    weights = np.linalg.solve(among + ridge * np.eye(len(rows)), across)
    gained = 2 * np.sum(weights * across, axis=0) - np.sum(weights * (among @ weights), axis=0)
    explained = gained / np.maximum(variance[to], np.finfo(float).tiny)
    return weights / scale[:, None], explained


def _nothing(names: tuple[str, ...], why: str) -> Operator:
    return Operator.identity(names, f"{why}.", n_references=0, explained=0.0)
