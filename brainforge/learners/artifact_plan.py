"""What is fitted to what: channels, covariance, principal components, and which method."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from brainforge.errors import InputError, KernelInputError
from brainforge.info import Info
from brainforge.kernels.gram import Gram, gram
from brainforge.kernels.namespace import rows_of, to_host
from brainforge.kernels.whitening import Whitening, pca_whitening
from brainforge.learners.traces import Working, believed, stretches
from brainforge.measures.gram import GramResult
from brainforge.operator import Operator
from brainforge.recipe import ArtifactRecipe
from brainforge.units import MEG_KINDS

#: below this many components independent component analysis is not trusted
FEWEST_ICA = 15
#: samples that each squared component has to rest on
SAMPLES_PER_SQUARE = 20
#: principal components searched for heart and eyes where there is no ICA
N_PRINCIPAL = 30
#: below this rank a vector less would take too much of the brain with it
LEAST_RANK = 8

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Plan:
    """What is fitted to what.

    Parameters
    ----------
    names : tuple of str
        Good MEG channels.
    field : float64 array, axes (channel, channel)
        Field correction over them.
    covariance : float64 array, axes (channel, channel)
        Of the field-corrected signal.
    white : Whitening
        Onto its strongest principal components.
    n_samples : int
        Believed samples.
    method : str
        "ica", "ssp" or "none".
    reason : str
        Why it is not "ica".
    """

    names: tuple[str, ...]
    field: Floats
    covariance: Floats
    white: Whitening
    n_samples: int
    method: str = ""
    reason: str = ""

    @property
    def matrix(self) -> Floats:
        """From channels to principal components, axes (principal component, channel)."""
        return self.white.whitener @ self.field


def n_components(n_samples: int, rank: int, most: int) -> int:
    """Return how many components to fit: min(most, rank, sqrt(samples / 20)), rounded.

    7,200 samples (24 s at 300 Hz) give 19.
    """
    return max(min(most, rank, round(float(np.sqrt(n_samples / SAMPLES_PER_SQUARE)))), 0)


def make_plan(
    working: Working,
    operator: Operator,
    info: Info,
    most: int,
    products: GramResult | None = None,
) -> Plan:
    """Return the plan but for its method, with as many principal components as may be needed.

    Raises
    ------
    InputError
        No good channel, a dependence of good channels on bad ones, no believed sample, NaN, or
        only flat channels.
    """
    inside = set(operator.names)
    names = tuple(n for n in info.names_of(*MEG_KINDS, bads=False) if n in inside)
    if not names:
        raise InputError(where="artifacts", expected="a good MEG channel", got="none")
    rows = operator.rows(names)
    left = np.setdiff1d(np.arange(len(operator.names)), rows)
    if np.any(operator.matrix[np.ix_(rows, left)]):
        raise InputError(
            where="artifacts: operator",
            expected="good channels that depend on good ones only",
            got="a dependence on a bad one",
            fix="learn the field correction without the bad channels",
        )
    field = operator.matrix[np.ix_(rows, rows)]
    covariance, n_samples = _covariance(working, names, products)
    covariance = field @ covariance @ field.T
    covariance = (covariance + covariance.T) / 2
    kinds = [info.channel(n).kind for n in names]
    try:
        white = pca_whitening(covariance, kinds=kinds)
    except KernelInputError as error:
        raise as_input_error(error) from error
    white = first_components(white, max(most, N_PRINCIPAL))
    return Plan(names, field, covariance, white, n_samples)


def first_components(white: Whitening, n: int) -> Whitening:
    """Return the whitening onto the first ``n`` principal components."""
    return replace(white, whitener=white.whitener[:n], dewhitener=white.dewhitener[:, :n])


def with_method(plan: Plan, params: ArtifactRecipe, n_samples: int) -> Plan:
    """Return the plan with its method and number of components, for the samples there are.

    Raises
    ------
    InputError
        ICA asked for where there are not enough samples for two components.
    """
    rank = plan.white.rank
    n = n_components(n_samples, rank, params.max_components)
    plan = replace(plan, n_samples=n_samples)
    if params.method == "ica" and n < 2:
        raise InputError(
            where="artifacts",
            expected=f"at least {4 * SAMPLES_PER_SQUARE} samples of 2 independent channels for ICA",
            got=f"{n_samples} samples of rank {rank}",
            fix="use method 'ssp' or a longer recording",
        )
    if params.method == "ica" or (n >= FEWEST_ICA and params.method != "ssp"):
        white = first_components(plan.white, n)
        return replace(plan, white=white, method="ica")
    white = first_components(plan.white, min(N_PRINCIPAL, max(n_samples // 4, 1)))
    if rank < LEAST_RANK:
        reason = f"rank {rank} is below {LEAST_RANK}, too few independent channels"
        return replace(plan, white=white, method="none", reason=reason)
    reason = f"ICA would have {n} components, fewer than {FEWEST_ICA}"
    if params.method == "ssp":
        reason = "asked for"
    return replace(plan, white=white, method="ssp", reason=reason)


def as_input_error(error: KernelInputError) -> InputError:
    """Return a kernel's refusal in the words of this step."""
    return InputError(
        where=f"artifacts: {error.where}", expected=error.expected, got=error.got, fix=error.fix
    )


def _covariance(
    working: Working, names: tuple[str, ...], products: GramResult | None
) -> tuple[Floats, int]:
    """Return mean products of the channels and the number of samples behind them."""
    if products is not None:
        at = np.ix_(products.rows(names), products.rows(names))
        total = Gram(products.total.sums[at], products.total.counts[at])
        n_samples = int(total.counts.min())
    else:
        order = working.info.rows(names)
        total = Gram(np.zeros((len(names), len(names))), np.zeros((len(names), len(names))))
        n_samples = 0
        for block in working.blocks():
            good = believed(block, names)
            data = rows_of(block.data, order)
            for lo, hi in stretches(good):
                total = total.merge(_at_home(gram(data[:, lo:hi])))
            n_samples += int(np.count_nonzero(good))
    if not n_samples:
        raise InputError(
            where="artifacts",
            expected="samples at which all good channels can be believed",
            got="none",
            fix="mark the channels that are masked throughout as bad",
        )
    return total.mean(), n_samples


def _at_home(found: Gram) -> Gram:
    return Gram(to_host(found.sums), to_host(found.counts))
