"""Calibration: what a window of samples says of bad channels, fields and artifacts."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.info import Info
from brainforge.kernels.asr_fit import AsrModel
from brainforge.learners.artifact_model import ArtifactModel
from brainforge.learners.field import learn_field_correction
from brainforge.learners.repair import learn_repair
from brainforge.operator import Operator
from brainforge.recipe import Recipe
from brainforge.result import BadChannel
from brainforge.units import MEG_KINDS

F64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Calibration:
    """The operator of the moment and what it rests on.

    Parameters
    ----------
    revision : int
        0 for what is known before any sample; counts up.
    window : (int, int)
        Absolute source samples that it was learned from; equal where from none.
    bads : tuple of BadChannel
    fused : Operator
        References, field correction, components and repair as one matrix, over the MEG channels
        and after them the references that it uses.
    heart : float64 array, axes (channel of ``fused``,) | None
        Weights that make a trace of the heart of the filtered signal; None where no heart
        component was removed.
    asr : AsrModel | None
        Of the cleaned signal at the source's rate.
    text : str
        What is done, in sentences.
    removed : dict
        How many components of each kind were removed.
    artifacts : ArtifactModel | None
        What the next calibration begins from; not kept in a checkpoint.
    """

    revision: int
    window: tuple[int, int]
    bads: tuple[BadChannel, ...]
    fused: Operator
    heart: F64 | None = None
    asr: AsrModel | None = None
    text: str = ""
    removed: dict[str, int] = field(default_factory=dict)
    artifacts: ArtifactModel | None = field(default=None, compare=False, repr=False)

    @classmethod
    def before(cls, recipe: Recipe, info: Info) -> Calibration:
        """Return what is known before any sample: geometry, and channels marked bad."""
        names = info.names_of(*MEG_KINDS)
        marked = [n for n in info.bads if n in names]
        f = recipe.field_correction
        corrected = learn_field_correction(info, marked, method=f.method, order=f.order)
        repair = Operator.identity(corrected.names)
        if recipe.quality.repair:
            repair = learn_repair(info, marked, after=corrected)
        bads = tuple(
            BadChannel(n, "marked", "Marked bad in the recording or by the user.", 1, 1)
            for n in marked
        )
        text = " ".join(d for d in (corrected.description, repair.description) if d)
        return cls(0, (0, 0), bads, repair.expand(names) @ corrected.expand(names), text=text)

    @property
    def bad_names(self) -> tuple[str, ...]:
        """Names of the bad channels."""
        return tuple(b.name for b in self.bads)

    @property
    def digest(self) -> str:
        """SHA-256 that names the operator, for the provenance."""
        return self.fused.digest

    def summary(self) -> dict[str, Any]:
        """Return what there is to tell, JSON-ready."""
        return {
            "revision": self.revision,
            "window": list(self.window),
            "bads": [asdict(b) for b in self.bads],
            "removed": dict(self.removed),
            "text": self.text,
            "digest": self.digest,
            "asr": self.asr is not None,
        }

    def state(self) -> dict[str, Any]:
        """Return a checkpoint, without what the next calibration would begin from."""
        return {
            "revision": self.revision,
            "window": list(self.window),
            "bads": [asdict(b) for b in self.bads],
            "names": list(self.fused.names),
            "matrix": self.fused.matrix.copy(),
            "heart": None if self.heart is None else self.heart.copy(),
            "asr": None if self.asr is None else asdict(self.asr),
            "text": self.text,
            "removed": dict(self.removed),
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Calibration:
        """Return the calibration of a checkpoint."""
        first, last = state["window"]
        return cls(
            revision=state["revision"],
            window=(first, last),
            bads=tuple(BadChannel(**b) for b in state["bads"]),
            fused=Operator(tuple(state["names"]), state["matrix"], state["text"]),
            heart=state["heart"],
            asr=None if state["asr"] is None else AsrModel(**state["asr"]),
            text=state["text"],
            removed=dict(state["removed"]),
        )
