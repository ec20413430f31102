"""Heart, eyes, muscle and mains: find them, learn their fields, give the operator without them.

Independent components where there are enough samples, signal-space vectors of the event-locked
averages otherwise (see `n_components`). Magnetometers and gradiometers are taken together, each
kind scaled to unit mean variance; bad channels and masked samples take no part.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from brainforge.backend import Backend
from brainforge.errors import InputError, KernelInputError
from brainforge.info import Info
from brainforge.kernels.apply import apply_matrix
from brainforge.kernels.classify import Thresholds, Verdict, power_spectra
from brainforge.kernels.gram import Gram, gram
from brainforge.kernels.parallel import single_threaded_blas
from brainforge.kernels.picard import Unmixing, picard
from brainforge.kernels.whitening import Whitening, pca_whitening
from brainforge.learners.artifact_components import (
    Fields,
    component_scores,
    describe,
    excerpt_step,
    excerpts,
    judge,
)
from brainforge.learners.artifact_events import (
    EventSource,
    eye_source,
    eye_train,
    head_positions,
    heart_source,
    heart_train,
)
from brainforge.learners.artifact_ssp import SignalSpace, signal_space
from brainforge.learners.traces import Progress, Traces, Working, believed, excerpt, project
from brainforge.measures.gram import GramResult
from brainforge.operator import Operator
from brainforge.recipe import ArtifactRecipe
from brainforge.result import Artifacts, Component, EventTrain, Interval
from brainforge.units import MEG_KINDS

#: below this many components independent component analysis is not trusted
FEWEST_ICA = 15
#: samples that each squared component has to rest on
SAMPLES_PER_SQUARE = 20
#: principal components searched for heart and eyes where there is no ICA
N_PRINCIPAL = 30
#: columns held in memory at most (40 components x 1.25 million x 4 bytes = 200 MB)
MOST_COLUMNS = 1_250_000
#: columns that ICA is fitted on at most; more change it less than its sampling error
MOST_FITTED = 500_000
#: seconds that scores and spectra rest on at most, evenly spread
MOST_SCORED_S = 300.0
#: gradient at which the fit ends
TOLERANCE = 1e-6

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ArtifactModel:
    """What `learn_artifacts` learned.

    Parameters
    ----------
    operator : Operator
        Takes the artifacts out of the field-corrected signal, over the names of the operator
        that was given; identity on channels that took no part.
    components : tuple of Component
        All that were fitted, the strongest fields first.
    ecg, eog : EventTrain
        Events found, without averages (see `locked_reduction`).
    method : str
        "ica", "ssp" or "none".
    channel_names : tuple of str
        Channels of the topographies.
    freqs : float64 array, axes (frequency,)
        Of the components' spectra, Hz.
    excerpt_sfreq : float
        Rate of the components' excerpts, Hz.
    variance_removed : float
        Share of the signal's variance (kinds scaled alike) that the operator takes out, 0..1.
    text : str
        Sentences for the report.
    """

    operator: Operator
    components: tuple[Component, ...]
    ecg: EventTrain
    eog: EventTrain
    method: str
    channel_names: tuple[str, ...]
    freqs: Floats
    excerpt_sfreq: float
    variance_removed: float
    text: str

    @property
    def n_fitted(self) -> int:
        """Number of components fitted."""
        return len(self.components)

    def to_artifacts(
        self,
        ecg: EventTrain | None = None,
        eog: EventTrain | None = None,
        muscle: tuple[Interval, ...] = (),
    ) -> Artifacts:
        """Return the part of a Result; event trains with reductions take the place of ours."""
        return Artifacts(
            method=self.method,
            channel_names=self.channel_names,
            ecg=ecg or self.ecg,
            eog=eog or self.eog,
            components=self.components,
            freqs=self.freqs,
            excerpt_sfreq=self.excerpt_sfreq,
            n_fitted=self.n_fitted,
            muscle=muscle,
            text=self.text,
        )


@dataclass(frozen=True)
class _Plan:
    """What is fitted to what."""

    names: tuple[str, ...]
    field: Floats
    covariance: Floats
    n_samples: int
    white: Whitening
    method: str

    @property
    def matrix(self) -> Floats:
        """From channels to principal components."""
        return self.white.whitener @ self.field


@dataclass(frozen=True)
class _Separation:
    """Components of unit variance: rows of ``unmixing`` over principal components."""

    unmixing: Floats
    topographies: Floats
    note: str = ""


def n_components(n_samples: int, rank: int, most: int) -> int:
    """Return how many components to fit: min(most, rank, sqrt(samples / 20)), rounded.

    7,200 samples (24 s at 300 Hz) give 19.
    """
    return max(min(most, rank, round(float(np.sqrt(n_samples / SAMPLES_PER_SQUARE)))), 0)


def learn_artifacts(
    working: Working,
    operator: Operator,
    info: Info,
    params: ArtifactRecipe,
    *,
    gram: GramResult | None = None,
    backend: Backend | None = None,
    progress: Progress | None = None,
    thresholds: Thresholds | None = None,
) -> ArtifactModel:
    """Return the operator that takes heart, eyes, muscle and mains out, and what it rests on.

    Parameters
    ----------
    working : working copy
        1-100 Hz, fT, fT/cm and µV. EOG and ECG channels are used as references where it holds
        them; without them the events are found in the components themselves.
    operator : Operator
        Field correction, over MEG channels; applied before. Good channels must not depend on
        bad ones through it.
    info : Info
        Of the working copy; says which channels are bad.
    params : ArtifactRecipe
        ``method`` auto, ica, ssp or none (events are found, nothing is removed).
    gram : GramResult | None
        Products of the channels of ``working``, where they exist already; saves a pass.
    backend : Backend | None
    progress : callable | None
        Told the stage in words and the share of it that is done.
    thresholds : Thresholds | None
        Of the classification.

    Raises
    ------
    InputError
        No good MEG channel, no believed sample, NaN among the believed samples, or too few
        samples for the method asked for.
    """
    threads = (backend or Backend()).threads
    tell = progress or _silent
    plan = _plan(working, operator, info, params, gram)
    every = max(-(-plan.n_samples // MOST_COLUMNS), 1)
    references = info.names_of("eog", "ecg", bads=False)
    tell("artifacts: projecting", 0.0)
    with single_threaded_blas():
        traces = project(
            working, plan.names, plan.matrix, references=references, every=every,
            n_threads=threads, tell=progress,
        )  # fmt: skip
        tell("artifacts: separating", 0.0)
        part, sources = _separate(plan, traces, threads)
        tell("artifacts: finding heart and eyes", 0.0)
        trains = _events(working, plan, part, sources, info, every, threads)
        events = {t.kind: traces.columns(t.samples // info.decim) for t in trains}
        known: list[Verdict] | None = None
        if plan.method == "ssp":
            space = signal_space(traces, plan.white, info.sfreq, events)
            part = _unit(space.unmixing, space.topographies, traces)
            known = _known(space)
            sources = replace(traces, x=apply_matrix(part.unmixing, traces.x, n_threads=threads))
        tell("artifacts: judging components", 0.0)
        components, freqs = _components(
            plan, part, sources, info, events, known, thresholds or Thresholds(), params
        )
    return _model(plan, part, operator, info, params, components, freqs, trains)


def _silent(stage: str, share: float) -> None:
    """Tell nobody."""


def _plan(
    working: Working,
    operator: Operator,
    info: Info,
    params: ArtifactRecipe,
    products: GramResult | None,
) -> _Plan:
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
        rank = pca_whitening(covariance, kinds=kinds).rank
        n = n_components(n_samples, rank, params.max_components)
        method = params.method
        if method in ("auto", "none"):
            method = "ica" if n >= FEWEST_ICA else "ssp"
        if method == "ica" and n < 2:
            raise InputError(
                where="artifacts",
                expected=f"at least {4 * SAMPLES_PER_SQUARE} samples of 2 independent channels",
                got=f"{n_samples} samples of rank {rank}",
                fix="use method 'ssp' or a longer recording",
            )
        keep = n if method == "ica" else min(N_PRINCIPAL, rank)
        white = pca_whitening(covariance, keep, kinds=kinds)
    except KernelInputError as error:
        raise _input_error(error) from error
    return _Plan(names, field, covariance, n_samples, white, method)


def _input_error(error: KernelInputError) -> InputError:
    return InputError(
        where=f"artifacts: {error.where}", expected=error.expected, got=error.got, fix=error.fix
    )


def _covariance(
    working: Working, names: tuple[str, ...], products: GramResult | None
) -> tuple[Floats, int]:
    """Return mean products of the channels and the number of samples behind them."""
    if products is not None:
        rows = products.rows(names)
        total = Gram(
            products.total.sums[np.ix_(rows, rows)], products.total.counts[np.ix_(rows, rows)]
        )
        n_samples = int(total.counts.min())
    else:
        order = working.info.rows(names)
        total = Gram(np.zeros((len(names), len(names))), np.zeros((len(names), len(names))))
        n_samples = 0
        for block in working.blocks():
            good = believed(block, names)
            data = block.data[order] if good.all() else block.data[order][:, good]
            total = total.merge(gram(np.ascontiguousarray(data)))
            n_samples += int(np.count_nonzero(good))
    if not n_samples:
        raise InputError(
            where="artifacts",
            expected="samples at which all good channels can be believed",
            got="none",
            fix="mark the channels that are masked throughout as bad",
        )
    return total.mean(), n_samples


def _separate(plan: _Plan, traces: Traces, threads: int) -> tuple[_Separation, Traces]:
    """Return components and their time courses; principal ones where there is no ICA."""
    x = traces.x
    if not x.shape[1]:
        raise InputError(where="artifacts", expected="believed samples", got="none")
    x -= x.mean(axis=1, keepdims=True, dtype=np.float64).astype(np.float32)
    if plan.method != "ica":
        part = _unit(np.eye(len(x)), plan.white.dewhitener, traces)
    else:
        step = -(-x.shape[1] // MOST_FITTED)
        try:
            fit = picard(
                x if step == 1 else np.ascontiguousarray(x[:, ::step]),
                tol=TOLERANCE,
                n_threads=threads,
            )
        except KernelInputError as error:
            raise _input_error(error) from error
        part = _unit(fit.matrix, plan.white.dewhitener @ np.linalg.inv(fit.matrix), traces)
        order = np.argsort(-_strength(part, plan.white), kind="stable")
        part = _Separation(part.unmixing[order], part.topographies[:, order], _fit_note(fit))
    return part, replace(traces, x=apply_matrix(part.unmixing, x, n_threads=threads))


def _fit_note(fit: Unmixing) -> str:
    state = "converged" if fit.converged else "not converged"
    return f"Picard {state} after {fit.n_iter} iterations, gradient {fit.gradient_norm:.1g}"


def _strength(part: _Separation, white: Whitening) -> Floats:
    """Return the scaled variance that each component brings to the channels."""
    return np.sum((part.topographies / white.scale[:, None]) ** 2, axis=0)


def _unit(unmixing: Floats, topographies: Floats, traces: Traces) -> _Separation:
    """Return components of unit variance with a fixed sign (the strongest channel positive)."""
    if not len(unmixing):
        return _Separation(unmixing, topographies)
    variance = np.einsum("ij,jk,ik->i", unmixing, gram(traces.x).mean(), unmixing)
    size = np.sqrt(np.maximum(variance, np.finfo(float).tiny))
    strongest = topographies[np.abs(topographies).argmax(axis=0), np.arange(len(size))]
    size = np.where(strongest < 0, -size, size)
    return _Separation(unmixing / size[:, None], topographies * size)


def _events(
    working: Working,
    plan: _Plan,
    part: _Separation,
    sources: Traces,
    info: Info,
    every: int,
    threads: int,
) -> tuple[EventTrain, EventTrain]:
    """Return heartbeats and blinks over the whole recording."""
    what = "independent component" if plan.method == "ica" else "principal component"
    some = excerpt(sources, int(MOST_SCORED_S * info.sfreq))
    heart = heart_source(some, info, what)
    scaled = part.topographies / plan.white.scale[:, None]
    eyes = eye_source(some, info, what, scaled, head_positions(info, plan.names))

    def whole(source: EventSource) -> tuple[Traces, int]:
        if every == 1:
            return sources, source.row or 0
        rows = part.unmixing[[source.row or 0]] @ plan.matrix
        channels = (source.channel,) if source.channel else ()
        return project(working, plan.names, rows, references=channels, n_threads=threads), 0

    return heart_train(heart, whole, info), eye_train(eyes, whole, info)


def _known(space: SignalSpace) -> list[Verdict]:
    return [Verdict(kind, reason) for kind, reason in zip(space.kinds, space.reasons)]


def _components(
    plan: _Plan,
    part: _Separation,
    sources: Traces,
    info: Info,
    events: dict[str, npt.NDArray[np.int64]],
    known: list[Verdict] | None,
    thresholds: Thresholds,
    params: ArtifactRecipe,
) -> tuple[tuple[Component, ...], Floats]:
    """Return the judged components and the frequencies of their spectra."""
    some = excerpt(sources, int(MOST_SCORED_S * info.sfreq))
    inside = {k: some.columns(sources.absolute(v)) for k, v in events.items()}
    fields = Fields(part.topographies, plan.white.scale, head_positions(info, plan.names))
    spectra = power_spectra(some.x, info.sfreq, runs=some.runs)
    scores = component_scores(some, info, fields, inside, spectra)
    components = describe(
        spectra,
        fields,
        scores,
        known or judge(scores, thresholds),
        excerpts=excerpts(some, info.sfreq, inside["eog"]),
        remove=params.method != "none",
    )
    return components, spectra[0]


def _model(
    plan: _Plan,
    part: _Separation,
    operator: Operator,
    info: Info,
    params: ArtifactRecipe,
    components: tuple[Component, ...],
    freqs: Floats,
    trains: tuple[EventTrain, EventTrain],
) -> ArtifactModel:
    out = [c.index for c in components if c.removed]
    taken = part.topographies[:, out] @ part.unmixing[out] @ plan.white.whitener
    keep = np.eye(len(plan.names)) - taken
    scaled = plan.covariance / np.outer(plan.white.scale, plan.white.scale)
    rows = keep / plan.white.scale[:, None]
    share = float(1 - np.sum((rows @ plan.covariance) * rows) / np.trace(scaled))
    method = "none" if params.method == "none" else plan.method
    counts = {k: sum(c.kind == k for c in components if c.removed) for k in KIND_WORDS}
    text = _text(plan, part, method, len(components), counts, share)
    removal = Operator(
        plan.names,
        keep,
        f"removed {_listed(counts)} ({method.upper()})" if out else "no component removed",
        {"method": method, "removed": counts, "variance_removed": share},
    )
    return ArtifactModel(
        operator=removal.expand(operator.names),
        components=components,
        ecg=trains[0],
        eog=trains[1],
        method=method,
        channel_names=plan.names,
        freqs=freqs,
        excerpt_sfreq=info.sfreq / excerpt_step(info.sfreq),
        variance_removed=share,
        text=text,
    )


KIND_WORDS = {"ecg": "heart", "eog": "eye", "muscle": "muscle", "line": "mains"}


def _listed(counts: dict[str, int]) -> str:
    some = [f"{n} {KIND_WORDS[k]}" for k, n in counts.items() if n]
    if not some:
        return ""
    listed = " and ".join([", ".join(some[:-1]), some[-1]] if len(some) > 1 else some)
    return f"{listed} component{'s' if sum(counts.values()) > 1 else ''}"


def _text(
    plan: _Plan, part: _Separation, method: str, n: int, counts: dict[str, int], share: float
) -> str:
    channels = f"{len(plan.names)} channels (rank {plan.white.rank}), {plan.n_samples:,} samples"
    if plan.method == "ica":
        how = (
            f"Independent component analysis of {channels}: {n} components holding "
            f"{plan.white.explained:.0%} of the variance; {part.note}."
        )
    else:
        how = (
            f"Too few samples for independent component analysis ({channels}): signal-space "
            f"vectors of the event-locked averages, {n} in all."
        )
    if method == "none":
        return f"{how} Nothing was removed."
    removed = _listed(counts)
    if not removed:
        return f"{how} No artifact component was found."
    return f"{how} Removed {removed}, {share:.1%} of the signal's variance."
