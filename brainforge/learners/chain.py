"""The learners of the pipeline as frozen declarations: field correction, removal, repair."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from brainforge.flow import Lessons
from brainforge.learners.artifacts import ArtifactModel, learn_artifacts
from brainforge.learners.field import learn_field_correction
from brainforge.learners.repair import learn_repair
from brainforge.operator import Operator
from brainforge.recipe import ArtifactRecipe


@dataclass(frozen=True)
class FieldCorrection:
    """Interference from far away taken off: see `learn_field_correction`."""

    method: str = "auto"
    order: int = 1

    def fit(self, working: Any, lessons: Lessons) -> Operator:
        """Learn from the geometry, or take the recording's own projectors."""
        bads = [n for n in lessons.info.bads if n in lessons.before.names]
        return learn_field_correction(lessons.info, bads, method=self.method, order=self.order)


@dataclass(frozen=True)
class ArtifactRemoval:
    """Heart, eyes, muscle and mains taken out: see `learn_artifacts`."""

    params: ArtifactRecipe = field(default_factory=ArtifactRecipe)
    progress: Callable[[str, float], None] | None = field(default=None, compare=False)
    #: what was learned before, to begin from
    start: ArtifactModel | None = field(default=None, compare=False)

    def fit(self, working: Any, lessons: Lessons) -> ArtifactModel:
        """Learn from the working copy; needs the measure ``"gram"``."""
        return learn_artifacts(
            working,
            lessons.before,
            lessons.info,
            self.params,
            gram=lessons.measures["gram"],
            start=self.start,
            backend=lessons.backend,
            progress=self.progress,
        )


@dataclass(frozen=True)
class Repair:
    """Bad channels replaced by what the good ones say: see `learn_repair`."""

    enabled: bool = True

    def fit(self, working: Any, lessons: Lessons) -> Operator:
        """Learn from the geometry; ``lessons.before`` is what the signal has been through."""
        names = lessons.before.names
        if not self.enabled:
            return Operator.identity(names)
        bads = [n for n in lessons.info.bads if n in names]
        return learn_repair(lessons.info, bads, after=lessons.before)
