"""ImmediatePath: what is seen while the patient is in the helmet, block by block.

Raw pieces are judged, filtered causally and cleaned by the operator of the moment. Rolling and
cumulative measures, averages and the heart follow, and what is due is published. Nothing of it
is kept as a result: that is the exact path's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from brainforge.backend import Backend
from brainforge.block import Block, RawBlock
from brainforge.errors import InputError
from brainforge.info import Info
from brainforge.live.calibration import Calibration
from brainforge.live.cleaner import LiveCleaner
from brainforge.live.front import Front
from brainforge.live.measures import LiveMeasures
from brainforge.live.snapshots import Arrays, Meta, topic_sizes
from brainforge.live.teller import Teller
from brainforge.readers.events import Rises
from brainforge.recipe import Recipe
from brainforge.recording import Event
from brainforge.stages.asr import Asr
from brainforge.units import MEG_KINDS

Publish = Callable[[str, Meta, Arrays], Any]

#: the heart is looked for so often, in blocks of the live grid, and in which of them
HEART_EVERY, HEART_PHASE = 80, 12


class ImmediatePath:
    """Takes raw pieces of any size and publishes snapshots.

    Parameters
    ----------
    recipe : Recipe
    info : Info
        Of the source.
    backend : Backend
        Its kind; it runs on the CPU with one thread, the blocks being too small for more.
    publish : callable
        ``publish(topic, meta, arrays)``, as of `brainforge.feed.FeedWriter`; `sizes` tells how
        large a topic can be.
    outputs : callable | None
        Called as ``outputs(what, meta, arrays)`` for the lab's own tools: ``"cleaned"`` with the
        new samples of every block at the working rate (``data`` and ``good``, axes (channel,
        sample); ``start`` and ``sfreq`` in ``meta``), ``"feedback"`` with every new value,
        ``"marker"`` with every event. The same thread calls it, so it must not wait.

    Raises
    ------
    InputError
        No MEG channel, a filter that does not fit, or a feedback that cannot be made.

    Notes
    -----
    All numbers depend on the samples alone, not on how they were cut or when they came. Used by
    one thread.
    """

    def __init__(
        self,
        recipe: Recipe,
        info: Info,
        backend: Backend,
        publish: Publish,
        *,
        outputs: Publish | None = None,
    ) -> None:
        if not info.names_of(*MEG_KINDS):
            raise InputError(
                where="channels", expected="at least one MEG channel (mag or grad)", got="none",
                fix="name the sensors with --sensors if their kind is not known",
            )  # fmt: skip
        self.recipe, self.source_info, self._outputs = recipe, info, outputs
        backend = Backend("cpu", 1, why=backend.why)
        self._front = Front(recipe.live, info, backend)
        self._cleaner = LiveCleaner(self._front.info, Calibration.before(recipe, info))
        #: of the cleaned channels, at the source's rate
        self.info = self._cleaner.info
        self._asr = None
        if recipe.live.asr:
            self._asr = Asr(recipe.live.asr_cutoff, calibration_s=None).bind(self.info, backend)
        delay = round(self._front.delay * info.sfreq)
        self._measures = LiveMeasures(recipe, self._front.info, self.info, delay, backend)
        about = {
            "filter": self._front.describe(),
            "latency_s": self.latency,
            "delay_s": self.delay,
        }
        self._teller = Teller(publish, self._measures, self._front.hop, about)
        self._rises = Rises(info)
        #: absolute source sample that has to be fed next; None before the first
        self.sample: int | None = None
        self._filtered_stop, self._n_blocks = 0, 0
        self._history: list[Meta] = []

    @property
    def latency(self) -> float:
        """Seconds at most from a sample's arrival to the block that shows it, without computing.

        Plus, only behind a sample that is masked or missing, the 50 ms of the filter's bridge.
        What the filter itself delays is `delay`.
        """
        own = self._front.hop / self.source_info.sfreq
        return own + (0.0 if self._asr is None else self._asr.latency)

    @property
    def delay(self) -> float:
        """Seconds by which the causal filter delays what goes on at 10 Hz."""
        return self._front.delay

    @property
    def calibration(self) -> Calibration:
        """What is applied, or being faded in."""
        return self._cleaner.calibration

    def sizes(self) -> dict[str, int]:
        """Return the largest size of every topic in bytes, as `FeedWriter` wants it."""
        return topic_sizes(self.recipe, self.source_info)

    def take(self, raw: RawBlock, arrival: float) -> None:
        """Take one piece of any size.

        Parameters
        ----------
        raw : RawBlock
        arrival : float
            `time.monotonic` when it came.
        """
        if not raw.data.shape[1]:
            return
        if raw.start != self.sample:
            self._rises = Rises(self.source_info)
        blocks = self._front.process(raw)
        for event in self._rises.take(raw.data[self._rises.rows], raw.start):
            self._event(event)
        self.sample = raw.stop
        self._teller.arrived(raw.stop, arrival)
        for block in blocks:
            self._filtered(block)

    def event(self, sample: int, code: int, channel: str) -> None:
        """Take a marker that came beside the samples, at an absolute source sample."""
        self._event(Event(sample, code, channel))

    def adopt(self, calibration: Calibration) -> None:
        """Clean by another operator from the next block on, within half a second.

        The first one that was learned begins fading measures anew: what they hold still has
        the heart in it.
        """
        if not self.calibration.revision:
            self._measures.forget()
        self._cleaner.adopt(calibration, self._filtered_stop)
        if self._asr is not None and calibration.asr is not None:
            self._asr.adopt(calibration.asr)
        if self._measures.ecg is None:
            self._measures.heart.forget()
        self._history.append({"sample": self._filtered_stop, **calibration.summary()})
        self._teller.layout(calibration)

    def summary(self) -> Meta:
        """Return what there is to tell at the end, JSON-ready."""
        measures = self._measures
        epochs = sorted(measures.averages.n_epochs.items())
        return {
            "sample": measures.stop,
            "n_blocks": self._n_blocks,
            "coverage": measures.share,
            "latency_s": self.latency,
            "delay_s": self.delay,
            "filter": self._front.describe(),
            "calibrations": [dict(entry) for entry in self._history],
            "epochs": [{"channel": c, "code": k, "n_epochs": n} for (c, k), n in epochs],
            "missed_events": measures.averages.missed,
            "heart": asdict(measures.heart.last),
        }

    def state(self) -> dict[str, Any]:
        """Return a checkpoint; what follows it has to be fed from `sample` on."""
        return {
            "sample": self.sample,
            "front": self._front.state(),
            "rises": self._rises.last,
            "cleaner": self._cleaner.state(),
            "asr": None if self._asr is None else self._asr.state(),
            "measures": self._measures.state(),
            "teller": self._teller.state(),
            "at": [self._filtered_stop, self._n_blocks],
            "history": [dict(entry) for entry in self._history],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint of a path with the same recipe and info."""
        self.sample = state["sample"]
        self._front.restore(state["front"])
        self._rises = Rises(self.source_info, state["rises"])
        self._cleaner.restore(state["cleaner"])
        if self._asr is not None:
            self._asr.restore(state["asr"])
        self._measures.restore(state["measures"])
        self._teller.restore(state["teller"])
        self._filtered_stop, self._n_blocks = state["at"]
        self._history = [dict(entry) for entry in state["history"]]
        self._teller.layout(self.calibration)

    def _event(self, event: Event) -> None:
        self._measures.averages.add(event)
        if self._outputs is not None:
            self._outputs("marker", asdict(event), {})

    def _filtered(self, block: Block) -> None:
        """Take a filtered block of all signal channels."""
        self._filtered_stop = block.stop
        self._n_blocks += 1
        self._measures.filtered(block, self._cleaner.heart(block))
        clean = self._cleaner(block)
        for out in [clean] if self._asr is None else self._asr.process(clean):
            self._cleaned(out)

    def _cleaned(self, block: Block) -> None:
        measures, hop = self._measures, self._front.hop
        before, now = ((s // hop - HEART_PHASE) // HEART_EVERY for s in (measures.stop, block.stop))
        new = measures.cleaned(block)
        if now > before:
            measures.heart.look(self._heart_source(), self._filtered_stop)
        self._feed_back()
        if self._outputs is not None:
            self._output(self._outputs, new)
        self._teller.tell(self.calibration)

    def _heart_source(self) -> str:
        return self._measures.ecg or ("MEG" if self.calibration.heart is not None else "")

    def _feed_back(self) -> None:
        """Move the feedback value on; that of connectivity follows its snapshots."""
        feedback, measures = self._measures.feedback, self._measures
        if feedback is not None and feedback.kind == "power":
            feedback.power(measures.working, self.calibration.bad_names, measures.stop)

    def _output(self, outputs: Publish, new: int) -> None:
        measures = self._measures
        stop = measures.working.stop
        assert stop is not None
        data, good = measures.working.window(max(new, stop - measures.working.size), stop)
        arrival = self._teller.arrival(measures.stop)
        meta = {"start": new, "sfreq": measures.sfreq, "sample": measures.stop, "arrival": arrival}
        outputs("cleaned", meta, {"data": data, "good": good})
        if (value := self._teller.value()) is not None:
            outputs("feedback", value, {})
