"""Heart, eyes, muscle and mains: find them, learn their fields, give the operator without them.

Independent components where there are enough samples, signal-space vectors of the event-locked
averages otherwise (see `artifact_plan`). Magnetometers and gradiometers are taken together, each
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
from brainforge.kernels.gram import gram as gram_of
from brainforge.kernels.parallel import single_threaded_blas
from brainforge.kernels.picard import Unmixing, picard
from brainforge.kernels.whitening import Whitening
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
from brainforge.learners.artifact_model import ArtifactModel, removal, sentences
from brainforge.learners.artifact_plan import Plan, as_input_error, make_plan, with_method
from brainforge.learners.artifact_ssp import signal_space
from brainforge.learners.traces import Progress, Traces, Working, excerpt, project
from brainforge.measures.gram import GramResult
from brainforge.operator import Operator
from brainforge.recipe import ArtifactRecipe
from brainforge.result import Component, EventTrain

#: columns held in memory at most (40 components x 1.25 million x 4 bytes = 200 MB)
MOST_COLUMNS = 1_250_000
#: columns that ICA is fitted on at most; more change it less than its sampling error
MOST_FITTED = 500_000
#: seconds that scores and spectra rest on at most, evenly spread
MOST_SCORED_S = 300.0
#: the fit ends at this share of the gradient's sampling error, one over the root of the number
#: of samples: components of Gaussian noise would take many iterations more and mean nothing
GRADIENT_SHARE, MAX_ITER = 0.1, 200

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class _Separation:
    """Components of unit variance: rows of ``unmixing`` over principal components."""

    unmixing: Floats
    topographies: Floats
    note: str = ""
    #: what each component is, where that is known from how it was made
    verdicts: tuple[Verdict, ...] | None = None


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
    plan = make_plan(working, operator, info, params.max_components, gram)
    every = max(-(-plan.n_samples // MOST_COLUMNS), 1)
    references = info.names_of("eog", "ecg", bads=False)
    with single_threaded_blas():
        tell("artifacts: projecting", 0.0)
        traces = project(
            working, plan.names, plan.matrix, references=references, every=every,
            n_threads=threads, tell=progress,
        )  # fmt: skip
        tell("artifacts: separating", 0.0)
        plan = with_method(plan, params, traces.n_columns * every)
        traces = _centred(traces, len(plan.white.whitener))
        part = _separate(plan, traces, threads)
        sources = _sources(part, traces, threads)
        tell("artifacts: finding heart and eyes", 0.0)
        trains = _events(working, plan, part, sources, info, every, threads)
        events = {t.kind: traces.columns(t.samples // info.decim) for t in trains}
        if plan.method != "ica":
            part = _vectors(plan, traces, info, events)
            sources = _sources(part, traces, threads)
        tell("artifacts: judging components", 0.0)
        components, freqs = _components(
            plan, part, sources, info, events, thresholds or Thresholds(), params
        )
    return _model(plan, part, operator, info, params, components, freqs, trains)


def _silent(stage: str, share: float) -> None:
    """Tell nobody."""


def _centred(traces: Traces, n: int) -> Traces:
    """Return the first ``n`` traces without their means."""
    if not traces.n_columns:
        raise InputError(
            where="artifacts",
            expected="samples at which all good channels can be believed",
            got="none",
            fix="mark the channels that are masked most of the time as bad",
        )
    x = traces.x[:n]
    x -= x.mean(axis=1, keepdims=True, dtype=np.float64).astype(np.float32)
    if not np.isfinite(x.sum(dtype=np.float64)):
        raise InputError(
            where="artifacts", expected="finite numbers", got="NaN or infinity among the samples",
            fix="mask those samples first",
        )  # fmt: skip
    return replace(traces, x=x)


def _sources(part: _Separation, traces: Traces, threads: int) -> Traces:
    return replace(traces, x=apply_matrix(part.unmixing, traces.x, n_threads=threads))


def _separate(plan: Plan, traces: Traces, threads: int) -> _Separation:
    """Return independent components, or the principal ones where there is no ICA."""
    x, dewhitener = traces.x, plan.white.dewhitener
    if plan.method != "ica":
        return _unit(_Separation(np.eye(len(x)), dewhitener), traces)
    step = -(-x.shape[1] // MOST_FITTED)
    if step > 1:
        x = np.ascontiguousarray(x[:, ::step])
    values, vectors = np.linalg.eigh(gram_of(x).mean())
    # white on these very samples: masks and means make them differ a little from the whitener's
    start = (vectors / np.sqrt(np.maximum(values, np.finfo(float).tiny))) @ vectors.T
    tol = GRADIENT_SHARE / float(np.sqrt(x.shape[1]))
    try:
        fit = picard(x, start, ortho=True, tol=tol, max_iter=MAX_ITER, n_threads=threads)
    except KernelInputError as error:
        raise as_input_error(error) from error
    part = _unit(_Separation(fit.matrix, dewhitener @ np.linalg.inv(fit.matrix)), traces)
    order = np.argsort(-_strength(part, plan.white), kind="stable")
    return _Separation(part.unmixing[order], part.topographies[:, order], _fit_note(fit))


def _fit_note(fit: Unmixing) -> str:
    state = "converged" if fit.converged else "not converged"
    return f"Picard {state} after {fit.n_iter} iterations, gradient {fit.gradient_norm:.1g}"


def _strength(part: _Separation, white: Whitening) -> Floats:
    """Return the scaled variance that each component brings to the channels."""
    return np.sum((part.topographies / white.scale[:, None]) ** 2, axis=0)


def _unit(part: _Separation, traces: Traces) -> _Separation:
    """Return components of unit variance with a fixed sign (the strongest channel positive)."""
    u, fields = part.unmixing, part.topographies
    if not len(u):
        return part
    variance = np.einsum("ij,jk,ik->i", u, gram_of(traces.x).mean(), u)
    size = np.sqrt(np.maximum(variance, np.finfo(float).tiny))
    strongest = fields[np.abs(fields).argmax(axis=0), np.arange(len(size))]
    size = np.where(strongest < 0, -size, size)
    return replace(part, unmixing=u / size[:, None], topographies=fields * size)


def _vectors(
    plan: Plan, traces: Traces, info: Info, events: dict[str, npt.NDArray[np.int64]]
) -> _Separation:
    """Return the signal-space vectors of heart and eyes; none where there are too few channels."""
    wanted = events if plan.method == "ssp" else {}
    space = signal_space(traces, plan.white, info.sfreq, wanted)
    verdicts = tuple(Verdict(k, r) for k, r in zip(space.kinds, space.reasons))
    return _unit(_Separation(space.unmixing, space.topographies, verdicts=verdicts), traces)


def _events(
    working: Working,
    plan: Plan,
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


def _components(
    plan: Plan,
    part: _Separation,
    sources: Traces,
    info: Info,
    events: dict[str, npt.NDArray[np.int64]],
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
        list(part.verdicts) if part.verdicts is not None else judge(scores, thresholds),
        excerpts=excerpts(some, info.sfreq, inside["eog"]),
        remove=params.method != "none",
    )
    return components, spectra[0]


def _model(
    plan: Plan,
    part: _Separation,
    operator: Operator,
    info: Info,
    params: ArtifactRecipe,
    components: tuple[Component, ...],
    freqs: Floats,
    trains: tuple[EventTrain, EventTrain],
) -> ArtifactModel:
    taken = removal(plan, part.unmixing, part.topographies, components)
    return ArtifactModel(
        operator=taken.expand(operator.names),
        components=components,
        ecg=trains[0],
        eog=trains[1],
        method="none" if params.method == "none" else plan.method,
        channel_names=plan.names,
        freqs=freqs,
        excerpt_sfreq=info.sfreq / excerpt_step(info.sfreq),
        variance_removed=float(taken.params["variance_removed"]),
        text=sentences(plan, part.note, len(components), taken),
    )


__all__ = ["ArtifactModel", "learn_artifacts"]
