"""Heart, eyes, muscle and mains: find them, learn their fields, give the operator without them.

Independent components where there are enough samples, signal-space vectors of the event-locked
averages otherwise (see `artifact_plan`). Magnetometers and gradiometers are taken together, each
kind scaled to unit mean variance; bad channels and masked samples take no part.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.backend import Backend
from brainforge.errors import InputError
from brainforge.info import Info
from brainforge.kernels.classify import Thresholds, Verdict, power_spectra
from brainforge.kernels.namespace import is_device, namespace, to_device, to_host
from brainforge.kernels.parallel import parallel_map, single_threaded_blas
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
    Trace,
    eye_source,
    eye_train,
    head_positions,
    heart_source,
    heart_train,
)
from brainforge.learners.artifact_model import ArtifactModel, earlier, removal, sentences
from brainforge.learners.artifact_plan import Plan, make_plan, with_method
from brainforge.learners.artifact_rest import kept_for, locked_rest
from brainforge.learners.artifact_separation import (
    Separation,
    separate,
    sources_of,
    unit_variance,
)
from brainforge.learners.artifact_ssp import signal_space
from brainforge.learners.traces import Progress, Traces, Working, excerpt, mean_products, project
from brainforge.measures.gram import GramResult
from brainforge.operator import Operator
from brainforge.recipe import ArtifactRecipe
from brainforge.result import Component, EventTrain

#: columns held in memory at most (40 components x 1.25 million x 4 bytes = 200 MB)
MOST_COLUMNS = 1_250_000
#: seconds that scores and spectra rest on at most, evenly spread
MOST_SCORED_S = 300.0
DEFAULTS = Thresholds()

Floats = npt.NDArray[np.float64]


def learn_artifacts(
    working: Working,
    operator: Operator,
    info: Info,
    params: ArtifactRecipe,
    *,
    gram: GramResult | None = None,
    start: ArtifactModel | None = None,
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
    start : ArtifactModel | None
        What was learned from the same recording before, when it was shorter: the fit begins
        there and takes fewer iterations to the same components.
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
    references = info.names_of("eog", "ecg", bads=False)
    with single_threaded_blas():
        plan = make_plan(working, operator, info, params.max_components, gram)
        every = max(-(-plan.n_samples // MOST_COLUMNS), 1)
        tell("artifacts: projecting", 0.0)
        traces = project(
            working, plan.names, plan.matrix, references=references, every=every,
            n_threads=threads, tell=progress,
        )  # fmt: skip
        tell("artifacts: separating", 0.0)
        plan = with_method(plan, params, traces.n_columns * every)
        traces = _centred(traces, len(plan.white.whitener), threads)
        part = separate(plan, traces, threads, earlier(start, plan))
        tell("artifacts: finding heart and eyes", 0.0)
        some = excerpt(traces, int(MOST_SCORED_S * info.sfreq))
        shown = sources_of(part, some, threads)
        trains = _events(working, plan, part, traces, shown, info, every, threads)
        events = {t.kind: traces.columns(t.samples // info.decim) for t in trains}
        if plan.method != "ica":
            part = _vectors(plan, traces, info, events)
            shown = sources_of(part, some, threads)
        tell("artifacts: judging components", 0.0)
        inside = {k: some.columns(traces.absolute(v)) for k, v in events.items()}
        judged = partial(
            _components, plan, info=info, events=inside, params=params, threads=threads
        )
        components, freqs = judged(part, shown, thresholds=thresholds or DEFAULTS)
        if plan.method == "ica" and params.method != "none":
            rest = locked_rest(part, plan.white.scale, traces, info.sfreq, events, components)
            more, _ = judged(rest.part, sources_of(rest.part, some, threads))
            components = _with_rest(components, more, rest.replaced)
            part = part.joined(rest.part)
    return _model(plan, part, operator, info, params, components, freqs, trains)


def _silent(stage: str, share: float) -> None:
    """Tell nobody."""


def _centred(traces: Traces, n: int, threads: int) -> Traces:
    """Return the first ``n`` traces without their means."""
    if not traces.n_columns:
        raise InputError(
            where="artifacts",
            expected="samples at which all good channels can be believed",
            got="none",
            fix="mark the channels that are masked most of the time as bad",
        )
    x = traces.x[:n, :]
    means = _device_means(x) if is_device(x) else np.array(parallel_map(_centre, x, threads))
    if not np.isfinite(means).all():
        raise InputError(
            where="artifacts", expected="finite numbers", got="NaN or infinity among the samples",
            fix="mask those samples first",
        )  # fmt: skip
    if is_device(x):
        x = x - to_device(means.astype(np.float32)[:, None], like=x)
    return replace(traces, x=x)


def _centre(row: npt.NDArray[np.float32]) -> float:
    """Take the mean off in place; return it."""
    mean = float(row.mean(dtype=np.float64))
    row -= np.float32(mean)
    return mean


def _device_means(x: Any) -> Floats:
    xp = namespace(x)
    return to_host(xp.sum(x, axis=1, dtype=xp.float64)) / int(x.shape[1])


def _vectors(
    plan: Plan, traces: Traces, info: Info, events: dict[str, npt.NDArray[np.int64]]
) -> Separation:
    """Return the signal-space vectors of heart and eyes; none where there are too few channels."""
    wanted = events if plan.method == "ssp" else {}
    space = signal_space(traces, plan.white, info.sfreq, wanted)
    verdicts = tuple(Verdict(k, r) for k, r in zip(space.kinds, space.reasons))
    found = Separation(space.unmixing, space.topographies, verdicts=verdicts)
    return unit_variance(found, mean_products(traces.x))


def _events(
    working: Working,
    plan: Plan,
    part: Separation,
    traces: Traces,
    shown: Traces,
    info: Info,
    every: int,
    threads: int,
) -> tuple[EventTrain, EventTrain]:
    """Return heartbeats and blinks over the whole recording, found in some components of it."""
    what = "independent component" if plan.method == "ica" else "principal component"
    heart = heart_source(shown, info, what, threads)
    scaled = part.topographies / plan.white.scale[:, None]
    eyes = eye_source(shown, info, what, scaled, head_positions(info, plan.names))

    def whole(source: EventSource) -> Trace:
        weights = None if source.weights is None else source.weights @ part.unmixing
        if every == 1:
            return traces, *replace(source, weights=weights).trace(traces)
        rows = (np.eye(1, len(part.unmixing))[0] if weights is None else weights) @ plan.matrix
        channels = (source.channel,) if source.channel else ()
        found = project(working, plan.names, rows[None], references=channels, n_threads=threads)
        return found, *replace(source, weights=None if source.channel else np.ones(1)).trace(found)

    jobs = [partial(heart_train, heart, whole, info), partial(eye_train, eyes, whole, info)]
    # to read the working copy again is to have threads of its own
    ecg, eog = parallel_map(partial.__call__, jobs, threads if every == 1 else 1)
    return ecg, eog


def _components(
    plan: Plan,
    part: Separation,
    shown: Traces,
    *,
    info: Info,
    events: dict[str, npt.NDArray[np.int64]],
    params: ArtifactRecipe,
    threads: int,
    thresholds: Thresholds = DEFAULTS,
) -> tuple[tuple[Component, ...], Floats]:
    """Return the judged components and the frequencies of their spectra."""
    fields = Fields(part.topographies, plan.white.scale, head_positions(info, plan.names))
    spectra = power_spectra(shown.x, info.sfreq, runs=shown.runs, n_threads=threads)
    scores = component_scores(shown, info, fields, events, spectra, threads)
    components = describe(
        spectra,
        fields,
        scores,
        [*judge(scores[: part.n_fitted], thresholds), *part.verdicts],
        excerpts=excerpts(shown, info.sfreq, events["eog"]),
        remove=params.method != "none",
    )
    return components, spectra[0]


def _with_rest(
    components: tuple[Component, ...], more: tuple[Component, ...], replaced: dict[int, int]
) -> tuple[Component, ...]:
    """Return independent components and, after them, those of the event-locked averages."""
    n = len(components)
    first = (kept_for(c, n + replaced[c.index]) if c.index in replaced else c for c in components)
    return (*first, *(replace(c, index=n + c.index) for c in more))


def _model(
    plan: Plan,
    part: Separation,
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
        n_independent=part.n_fitted if plan.method == "ica" else 0,
        text=sentences(plan, part, taken),
    )


__all__ = ["ArtifactModel", "learn_artifacts"]
