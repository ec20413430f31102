"""From a finished first pass to the Result: learn, second pass, findings."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from brainforge.findings import resting_findings
from brainforge.learners.locked import locked_reduction
from brainforge.operator import Operator
from brainforge.pipeline.assemble import (
    Account,
    coverage,
    graph_part,
    mask_intervals,
    quality_part,
    recording_part,
    traces_part,
    units_of,
)
from brainforge.pipeline.cleaning import Cleaner
from brainforge.pipeline.clock import Clock, Progress
from brainforge.pipeline.first_pass import FirstPass, Seen
from brainforge.pipeline.learning import Learned, learn
from brainforge.pipeline.second_pass import Measured, second_pass
from brainforge.pipeline.summaries import band_power
from brainforge.provenance import provenance
from brainforge.recipe import Recipe
from brainforge.result import Artifacts, Result, Spectra


def full_result(
    first: FirstPass,
    seen: Seen,
    told: Callable[[], Account],
    clock: Clock,
    progress: Progress,
) -> Result:
    """Learn the operators, run pass 2 and gather the Result; ``told`` is asked at the end."""
    recipe, backend = first.recipe, first.backend
    learned = learn(first, clock, progress)
    working = first.working
    threads = backend.threads
    after = Cleaner(learned.info, learned.fused, learned.repair, threads)
    before = Cleaner(learned.info, learned.before, learned.repair, threads)
    with clock("artifacts_s"):
        artifacts = _artifacts(first, learned)
    measured = second_pass(working, after, recipe, backend, clock, progress)
    with clock("connectivity_s"):
        graph = graph_part(measured.connectivity, recipe)
    account = told()
    with clock("findings_s"):
        names = after.info.names
        spectra = _spectra(first, measured, names)
        part = recording_part(first.info, account, seen)
        bad = set(learned.info.bads)
        intervals = mask_intervals(
            list(working.masks), first.decim, part["first_sample"], first.info.sfreq, bad
        )
        share = coverage(part, intervals, working.info.n_channels)
        quality = quality_part(
            learned.info, names, spectra, first.line_db(names), learned.bads, intervals,
            share, first.peak_to_peak(names),
        )  # fmt: skip
        power = band_power(spectra, {b: (lo, hi) for b, (lo, hi, _) in recipe.bands.items()})
        findings = resting_findings(
            learned.info,
            quality,
            spectra,
            source_sfreq=first.info.sfreq,
            duration=part["duration_s"],
            band_power_part=power,
            artifacts=artifacts,
            connectivity=measured.connectivity,
            graph=graph,
            gaps=seen.gaps,
        )
        traces = traces_part(
            working, before, after, (artifacts.eog, artifacts.ecg), part["first_sample"]
        )
    return Result(
        info=learned.info,
        recording=part,
        recipe=recipe.name,
        quality=quality,
        spectra=spectra,
        findings=findings,
        band_power=power,
        artifacts=artifacts,
        traces=traces,
        connectivity=measured.connectivity,
        graph=graph,
        operator=learned.fused,
        steps=(first.describe(), *learned.steps),
        warnings=tuple(_warnings(first, recipe, measured, learned)),
        provenance={
            **provenance(recipe, account.source or {"name": account.name}, backend),
            "operator": learned.fused.summary(),
        },
    )


def _artifacts(first: FirstPass, learned: Learned) -> Artifacts:
    model = learned.artifacts
    before, after = _over_good(learned)
    trains = (model.ecg, model.eog)
    ecg, eog = locked_reduction(
        first.working, before, after, trains, n_threads=first.backend.threads
    )
    muscle = first.muscle.result() if first.muscle is not None else ()
    return model.to_artifacts(ecg, eog, muscle)


def _over_good(learned: Learned) -> tuple[Operator, Operator]:
    """Return the operators before and after, restricted to good channels: what was measured."""
    good = tuple(n for n in learned.fused.names if n not in learned.info.bads)
    return learned.before.pick(good), learned.fused.pick(good)


def _spectra(first: FirstPass, measured: Measured, names: tuple[str, ...]) -> Spectra:
    freqs, before = first.psd.result()
    after = measured.psd.result()[1]
    rows = [first.psd.names.index(n) for n in names]
    return Spectra(names, units_of(first.working.info, names), freqs, before[rows], after)


def _warnings(first: FirstPass, recipe: Recipe, measured: Measured, learned: Learned) -> list[str]:
    out = []
    if first.info.line_freq is None and recipe.filter.notch:
        out.append(
            "The mains frequency is not given and no mains line stands out: no notch was set. "
            "Give it with --line-freq 50 or 60."
        )
    if measured.connectivity is not None:
        fewest = min(
            (measured.connectivity.n_epochs[b] for b in measured.connectivity.bands), default=0
        )
        if fewest < recipe.connectivity.min_epochs:
            out.append(
                f"Connectivity is still collecting: the band with the fewest epochs has {fewest}, "
                f"{recipe.connectivity.min_epochs} are wanted. Its values are shown with their "
                "number of epochs and not summarised."
            )
    n_bad, n_all = len(learned.bads), learned.info.n_channels
    if n_bad > 0.2 * n_all:
        out.append(f"{n_bad} of {n_all} channels are bad: every figure rests on the rest.")
    if not np.isfinite(learned.info.positions(learned.fused.names)).all():
        out.append("Some sensors have no position: they are left out of maps and regions.")
    return out
