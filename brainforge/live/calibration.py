"""Calibration: what a window of samples says of bad channels, fields and artifacts.

It is what is learned between the passes offline, from half a minute of the stream.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.backend import Backend
from brainforge.block import RawBlock
from brainforge.errors import KernelInputError
from brainforge.info import Info
from brainforge.kernels.asr_fit import AsrModel, asr_calibrate
from brainforge.kernels.parallel import single_threaded_blas
from brainforge.learners.artifact_model import ArtifactModel
from brainforge.learners.field import learn_field_correction
from brainforge.learners.references import REFERENCE_KINDS, learn_references
from brainforge.learners.repair import learn_repair
from brainforge.live.front import Front
from brainforge.operator import Operator
from brainforge.pipeline.clock import Clock, silent
from brainforge.pipeline.first_pass import FirstPass, raw_spectrum
from brainforge.pipeline.learning import Learned, learn
from brainforge.recipe import Recipe
from brainforge.result import BadChannel
from brainforge.units import MEG_KINDS

F64 = npt.NDArray[np.float64]
#: seconds from which the mains' frequency is told where nobody has given it
MAINS_S = 2.0


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


class Lesson:
    """A window of raw samples on its way into a `Calibration`: pass 1 of the offline engine.

    Parameters
    ----------
    recipe : Recipe
    info : Info
        Of the source.
    backend : Backend
    """

    def __init__(self, recipe: Recipe, info: Info, backend: Backend) -> None:
        self._recipe = replace(recipe, quality=replace(recipe.quality, muscle=False))
        self._info, self._backend = info, backend
        self._first: FirstPass | None = None
        #: what comes before the mains' frequency is known
        self._waiting: list[RawBlock] = []
        self._front = Front(recipe.live, info, backend) if recipe.live.asr else None
        self._filtered: list[npt.NDArray[np.float32]] = []
        self._start: int | None = None
        self._stop = 0

    def feed(self, raw: RawBlock) -> None:
        """Take the next samples."""
        self._start = raw.start if self._start is None else self._start
        self._stop = raw.stop
        if self._first is None:
            self._waiting.append(raw)
            if sum(b.data.shape[1] for b in self._waiting) >= MAINS_S * self._info.sfreq:
                self._open()
        else:
            self._first.feed(raw)
        if self._front is not None:
            self._filtered += [b.data for b in self._front.process(raw)]

    def learn(self, start: Calibration | None = None) -> Calibration:
        """Return what the samples say; ``start`` is what was learned before.

        Raises
        ------
        InputError
            Too few samples, or no good channel.
        """
        first = self._open() if self._first is None else self._first
        first.finish()
        gram = first.gram.result()
        with single_threaded_blas():
            learned = learn(first, Clock(), silent, start.artifacts if start else None)
            fused, before = learned.fused, learned.before
            if self._info.names_of(*REFERENCE_KINDS) and self._recipe.field_correction.references:
                regressed = learn_references(learned.info, gram)
                fused, before = (op.expand(regressed.names) @ regressed for op in (fused, before))
            asr = self._asr(fused)
        removed = Counter(c.kind for c in learned.artifacts.components if c.removed)
        return Calibration(
            revision=1 + (start.revision if start else 0),
            window=(self._start or 0, self._stop),
            bads=learned.bads,
            fused=fused,
            heart=_heart(learned, before, fused),
            asr=asr,
            text=" ".join(learned.steps),
            removed=dict(sorted(removed.items())),
            artifacts=learned.artifacts,
        )

    def close(self) -> None:
        """Let go of the samples."""
        if self._first is not None:
            self._first.close()
        self._filtered, self._waiting = [], []

    def _open(self) -> FirstPass:
        """Begin pass 1 with what waits: its own first block may be too short to tell the mains."""
        if self._info.line_freq is None and self._waiting:
            found = raw_spectrum(_newest(self._waiting)).line_freq()
            self._info = replace(self._info, line_freq=found)
        first = self._first = FirstPass(self._recipe, self._info, self._backend)
        for block in self._waiting:
            first.feed(block)
        self._waiting = []
        return first

    def _asr(self, fused: Operator) -> AsrModel | None:
        """Return what is clean in the cleaned signal; None where that cannot be told."""
        if self._front is None or not self._filtered:
            return None
        n = len(self._info.names_of(*MEG_KINDS))
        x = np.concatenate(self._filtered, axis=1)[self._front.info.rows(fused.names)]
        clean = fused.matrix.astype(np.float32)[:n] @ x
        live = self._recipe.live
        try:
            return asr_calibrate(clean, self._info.sfreq, cutoff=live.asr_cutoff)
        except KernelInputError:
            return None  # too little that is clean: the signal goes on without


def _newest(blocks: list[RawBlock]) -> RawBlock:
    """Return the blocks behind the last gap as one."""
    run = blocks[-1:]
    for block in reversed(blocks[:-1]):
        if block.stop != run[0].start:
            break
        run.insert(0, block)
    return replace(run[0], data=np.concatenate([b.data for b in run], axis=1))


def calibrate(
    recipe: Recipe,
    info: Info,
    blocks: Iterable[RawBlock],
    backend: Backend,
    start: Calibration | None = None,
) -> Calibration:
    """Return what a window of raw samples says.

    Parameters
    ----------
    recipe : Recipe
    info : Info
        Of the source.
    blocks : iterable of RawBlock
        In order, of any size.
    backend : Backend
    start : Calibration | None
        What was learned before, from which the fit begins; its revision is counted on from.

    Raises
    ------
    InputError
        Too few samples, or no good channel.
    """
    lesson = Lesson(recipe, info, backend)
    try:
        for block in blocks:
            lesson.feed(block)
        return lesson.learn(start)
    finally:
        lesson.close()


def _heart(learned: Learned, before: Operator, fused: Operator) -> F64 | None:
    """Return weights over the channels of ``fused`` for a trace of the heart, or None.

    What is taken out of the signal, seen with the heart's own field.
    """
    model = learned.artifacts
    hearts = [c for c in model.components if c.removed and c.kind == "ecg"]
    if not hearts:
        return None
    field_of = dict(zip(model.channel_names, hearts[0].topography, strict=True))
    weights = np.zeros(len(fused.names))
    for kind in MEG_KINDS:
        rows = [i for i, n in enumerate(fused.names)
                if n in field_of and learned.info.channel(n).kind == kind]  # fmt: skip
        values = np.array([field_of[fused.names[i]] for i in rows])
        if power := float(np.square(values).sum()):
            weights[rows] = values / power
    return weights @ (before.expand(fused.names).matrix - fused.matrix)
