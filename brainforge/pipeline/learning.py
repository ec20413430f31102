"""Between the passes: bad channels, field correction, artifacts, repair, and their one matrix."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

from brainforge.errors import InputError
from brainforge.flow import Lessons
from brainforge.info import Info
from brainforge.learners.artifacts import ArtifactModel
from brainforge.learners.bad_channels import find_bad_channels
from brainforge.learners.chain import ArtifactRemoval, FieldCorrection, Repair
from brainforge.learners.repair import learn_repair
from brainforge.operator import Operator
from brainforge.pipeline.clock import Clock, Progress
from brainforge.pipeline.first_pass import FirstPass
from brainforge.pipeline.references import without_references
from brainforge.result import BadChannel
from brainforge.units import MEG_KINDS


@dataclass(frozen=True)
class Learned:
    """What was learned from the first pass.

    Parameters
    ----------
    info : Info
        Of the working copy, bad channels marked.
    bads : tuple of BadChannel
    before, fused : Operator
        Field correction and repair without, and with, the removal of artifacts; over all MEG
        channels.
    artifacts : ArtifactModel
    steps : tuple of str
        What the operators do, in order.
    """

    info: Info
    bads: tuple[BadChannel, ...]
    before: Operator
    fused: Operator
    artifacts: ArtifactModel
    steps: tuple[str, ...]

    def repair(self, masked: tuple[str, ...]) -> Operator:
        """Return the operator that replaces masked channels by what the good ones say."""
        bad = tuple(dict.fromkeys((*self.info.bads, *masked)))
        return learn_repair(self.info, bad)


def mark_bads(info: Info, bads: tuple[BadChannel, ...]) -> Info:
    """Return ``info`` with the bad channels marked.

    Raises
    ------
    InputError
        No MEG channel is left.
    """
    info = info.with_bads({*info.bads, *(b.name for b in bads)})
    if not info.names_of(*MEG_KINDS, bads=False):
        reasons = Counter(b.reason for b in bads if b.name in info.names_of(*MEG_KINDS))
        told = ", ".join(f"{n} {reason.replace('_', ' ')}" for reason, n in reasons.items())
        raise InputError(
            where="recording",
            expected="at least one good MEG channel",
            got=f"none: {told}",
            fix="check the sensors and their calibration",
        )
    return info


def learn(
    first: FirstPass, clock: Clock, progress: Progress, start: ArtifactModel | None = None
) -> Learned:
    """Learn everything that pass 2 needs, in the order in which one rests on the other.

    ``start`` is what was learned of the same stream before: the components' fit begins there.
    """
    recipe, backend = first.recipe, first.backend
    info = first.working.info
    with clock("preprocess_s"):
        gram = first.gram.result()
        bads: tuple[BadChannel, ...] = ()
        if recipe.quality.find_bads:
            bads = find_bad_channels(
                info, first.raw_quality.result(), gram, n_threads=backend.threads
            )
        info = mark_bads(info, bads)
        regressed = ""
        if recipe.field_correction.references:
            first.working, gram, regressed = without_references(
                first.working, gram, info, backend, first.folder
            )
        names = info.names_of(*MEG_KINDS)
        lessons = Lessons(info, {"gram": gram}, Operator.identity(names), backend)
        f = recipe.field_correction
        field = FieldCorrection(f.method, f.order).fit(first.working, lessons)
        lessons = replace(lessons, before=field)
        repair = Repair(recipe.quality.repair).fit(first.working, lessons)
    with clock("artifacts_s"):
        model = ArtifactRemoval(recipe.artifacts, progress, start).fit(first.working, lessons)
    before = repair.expand(names) @ field.expand(names)
    fused = repair.expand(names) @ model.operator.expand(names) @ field.expand(names)
    steps = tuple(d for d in (regressed, field.description, model.text, repair.description) if d)
    return Learned(info, bads, before, fused, model, steps)
