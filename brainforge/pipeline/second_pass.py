"""Pass 2: one fused matrix over the working copy, and the measures on what comes out."""

from __future__ import annotations

from dataclasses import dataclass

from brainforge.backend import Backend
from brainforge.info import Info
from brainforge.measures.aec import AecMeasure
from brainforge.measures.connectivity import ConnectivityMeasure, combined
from brainforge.measures.psd import WelchMeasure
from brainforge.pipeline.cleaning import Cleaner
from brainforge.pipeline.clock import Clock, Progress
from brainforge.pipeline.lane import Lane
from brainforge.recipe import Recipe
from brainforge.result import Connectivity
from brainforge.units import MEG_KINDS
from brainforge.working_copy import WorkingCopy


@dataclass(frozen=True)
class Measured:
    """What pass 2 gives. ``connectivity`` is None where the recipe leaves it out."""

    psd: WelchMeasure
    connectivity: Connectivity | None


def second_pass(
    working: WorkingCopy,
    cleaner: Cleaner,
    recipe: Recipe,
    backend: Backend,
    clock: Clock,
    progress: Progress,
) -> Measured:
    """Clean every block of the working copy and accumulate the measures.

    Spectra are of all MEG channels, repaired ones included; connectivity is between good
    channels only, since a repaired channel is a mixture of its neighbours.
    """
    s = recipe.spectra
    psd = WelchMeasure(cleaner.info, backend, seg_s=s.segment_s, overlap=s.overlap)
    pairs = pair_measures(cleaner.info, recipe, backend)
    with Lane("pairs") as lane:
        for i, block in enumerate(working.blocks()):
            with clock("preprocess_s"):
                clean = cleaner(block)
            # what this waits for a full lane is time that connectivity takes
            with clock("connectivity_s"):
                for measure in pairs:
                    lane.put(measure.update, clean)
            with clock("preprocess_s"):
                psd.update(clean)
            progress("measuring connectivity" if pairs else "measuring spectra",
                     (i + 1) / working.n_blocks)  # fmt: skip
        with clock("connectivity_s"):
            lane.drain()
            connectivity = combined(*(m.result() for m in pairs)) if pairs else None
    return Measured(psd, connectivity)


def pair_measures(
    info: Info, recipe: Recipe, backend: Backend
) -> list[ConnectivityMeasure | AecMeasure]:
    """Return the recipe's measures between good channels, with nothing in them yet."""
    c = recipe.connectivity
    good = info.names_of(*MEG_KINDS, bads=False)
    if not c.enabled or len(good) < 2:
        return []
    measures: list[ConnectivityMeasure | AecMeasure] = []
    bands = {b: (low, high) for b, (low, high, _) in recipe.bands.items()}
    if c.measures:
        epochs = {b: epoch_s for b, (_, _, epoch_s) in recipe.bands.items()}
        measures.append(
            ConnectivityMeasure(
                info, backend, bands=bands, methods=c.measures, picks=good, epoch_durations=epochs
            )
        )
    if c.aec:
        measures.append(
            AecMeasure(info, backend, bands=bands, picks=good, epoch_duration=c.aec_epoch_s)
        )
    return measures
