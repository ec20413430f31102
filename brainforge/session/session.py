"""Session: starts recorder and pipeline of one patient, keeps them alive, ends them in order.

The recorder depends on nobody: it goes on whatever happens to the pipeline or to this process.
"""

from __future__ import annotations

import json
import shutil
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from brainforge.acquisition.recorder.repair import repair
from brainforge.acquisition.ring import Ring, State
from brainforge.errors import BrainForgeError, InputError, OutputError
from brainforge.feed import LastingReader, Snapshot
from brainforge.session.child import Child, Death
from brainforge.session.header import is_finished
from brainforge.session.spec import SessionSpec

#: seconds without a sign of life after which a process counts as hung
RECORDER_PATIENCE_S, PIPELINE_PATIENCE_S = 3.0, 5.0
#: a pipeline that lives but has not moved on for so long while samples come is stuck
STUCK_S = 60.0
#: a source whose last sample is older is dead, and values computed from it are stale
STALE_S = 1.0


@dataclass(frozen=True)
class View:
    """What can be seen of a session now.

    Parameters
    ----------
    recorder : dict
        The recorder's own words (topic ``recorder`` of its feed).
    topics : dict
        Newest snapshots of the pipeline's feed by topic.
    stale : bool
        Whether the newest sample is more than a second old while more should come.
    silent_s : float | None
        Seconds since the newest sample came; None before the first.
    phase : str
        starting, live, finishing, done or failed.
    restarts : tuple of Death
    old_s : float | None
        How old the newest sample in the pipeline's values is, where it is more than a second
        while the session is live: the pipeline is catching up, or has been given up.
    trouble : str
        Why a part of the session has been given up; empty while all is well.
    """

    recorder: dict[str, Any]
    topics: dict[str, Snapshot]
    stale: bool
    silent_s: float | None
    phase: str
    restarts: tuple[Death, ...]
    old_s: float | None = None
    trouble: str = ""


class Session:
    """A live session under supervision.

    Call `poll` at least once a second; `stop` asks it to end, and polling goes on until
    `phase` is done or failed.

    Parameters
    ----------
    spec : SessionSpec

    Raises
    ------
    InputError, OutputError
        What the spec asks for cannot be done.
    """

    def __init__(self, spec: SessionSpec) -> None:
        spec.check()
        self.spec, self.paths = spec, spec.paths
        self.recording_id = uuid.uuid4().hex
        self._recorder_feed = LastingReader(self.paths.recorder_feed)
        self._pipeline_feed = LastingReader(self.paths.pipeline_feed)
        self._ring: Ring | None = None
        self._restarts: list[Death] = []
        self._stopped_at: float | None = None
        #: why a part of the session has been given up
        self.trouble = ""
        self._children: list[Child] = []
        self._pipeline: Child | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def start(self) -> None:
        """Start recorder and pipeline."""
        scratch = self.paths.scratch
        try:
            scratch.mkdir()
        except OSError as error:
            raise OutputError(f"{scratch}: cannot be made: {error.strerror}") from error
        self.paths.spec.write_text(self.spec.to_json(), encoding="utf-8")
        self._recorder = Child(
            "recorder", self._recorder_command, scratch / "recorder.log", self._recorder_beat,
            RECORDER_PATIENCE_S,
        )  # fmt: skip
        self._children = [self._recorder]
        if self.spec.analyse:
            self._pipeline = Child(
                "pipeline", self._pipeline_command, scratch / "pipeline.log",
                self._pipeline_beat, PIPELINE_PATIENCE_S,
            )  # fmt: skip
            self._children.append(self._pipeline)
        for child in self._children:
            child.start()

    def _recorder_command(self, start: int) -> Sequence[str]:
        document = {
            "source": self.spec.source,
            "options": self.spec.options,
            "out": self.spec.archive,
            "duration_s": self.spec.duration,
            "block_s": self.spec.block_s,
            "ring_s": self.spec.ring_s,
            "counter_channel": self.spec.counter_channel,
            "feed": str(self.paths.recorder_feed),
            "recording_id": self.recording_id,
            # whoever takes over goes on with what is there
            "resume": (self.paths.archive / "live" / "header.json").exists(),
        }
        self.paths.recorder_spec.write_text(json.dumps(document), encoding="utf-8")
        return ["-m", "brainforge.acquisition.recorder", str(self.paths.recorder_spec)]

    def _pipeline_command(self, start: int) -> Sequence[str]:
        return ["-m", "brainforge.session.worker", str(self.paths.spec)]

    def _recorder_beat(self) -> float | None:
        ring = self._attached()
        if ring is not None and ring.heartbeat:
            return ring.heartbeat / 1e9
        said = self._recorder_feed.latest("recorder")  # before the first sample
        return None if said is None else said.written

    def _pipeline_beat(self) -> float | None:
        beat = self._pipeline_feed.latest("beat")
        if beat is None:
            return None
        if self.phase != "live":
            return beat.written  # steps of the end take their time
        return min(beat.written, float(beat.meta["progress"]) + STUCK_S)

    def _attached(self) -> Ring | None:
        if self._ring is not None and self._ring.replaced:
            self._ring.close()
            self._ring = None
        if self._ring is None:
            try:
                text = (self.paths.archive / "live" / "header.json").read_text(encoding="utf-8")
                self._ring = Ring.attach(Path(json.loads(text)["ring"]))
            except (OSError, InputError, ValueError, KeyError):
                return None
        return self._ring

    def poll(self) -> View:
        """Look after the processes and return what can be seen.

        Raises
        ------
        BrainForgeError
            The recorder was refused, or dies again and again before anything is recorded.
        """
        self._look_after(self._recorder, self._finish_for_it)
        if self._recorder.code == 2 and not self.trouble:
            why = self._said(self._recorder)
            if not (self.paths.archive / "live").exists():
                raise Refused(why)
            self._finish_for_it(why)  # one that could not take over what another has begun
        if self._pipeline is not None:
            self._look_after(self._pipeline, self._do_without_it)
        return self.view()

    def _look_after(self, child: Child, give_up: Callable[[str], None]) -> None:
        try:
            death = child.poll()
        except BrainForgeError as error:
            give_up(str(error))
            return
        if death is not None:
            self._restarts.append(death)
        if child is self._pipeline and child.code == 2 and not self.trouble:
            give_up(self._said(child))

    def _do_without_it(self, why: str) -> None:
        """Go on recording when the pipeline is refused, or dies again and again."""
        self.trouble = f"not analysed; the recording is not affected: {why}"

    def _finish_for_it(self, why: str) -> None:
        """Finish what the recorder has left when it dies again and again."""
        if not (self.paths.archive / "live").exists():
            raise BrainForgeError(why)
        repair(self.paths.archive)
        self.trouble = f"the recording has ended early: {why}"

    def _said(self, child: Child) -> str:
        words = child.last_words().removeprefix("error: ")
        return words or f"the {child.name} was refused and did not say why"

    def view(self) -> View:
        """Return what can be seen now, without looking after anything."""
        said = self._recorder_feed.latest("recorder")
        self._pipeline_feed.latest("beat")  # opens the feed, so that its topics are known
        topics = {
            topic: snapshot
            for topic in self._pipeline_feed.topics
            if (snapshot := self._pipeline_feed.latest(topic)) is not None
        }
        silent = self._silent_s()
        live = self.phase in ("starting", "live")
        return View(
            recorder=said.meta if said is not None else {},
            topics=topics,
            stale=live and silent is not None and silent > STALE_S,
            silent_s=silent,
            phase=self.phase,
            restarts=tuple(self._restarts),
            old_s=_old_s(topics) if live else None,
            trouble=self.trouble,
        )

    def _silent_s(self) -> float | None:
        ring = self._attached()
        if ring is None or ring.received == ring.first:
            return None
        return max(time.monotonic() - ring.last_arrival() / 1e9, 0.0)

    @property
    def phase(self) -> str:
        """Where the session is: starting, live, finishing, done or failed."""
        if not any(child.running for child in self._children):
            return "done" if is_finished(self.paths.archive) else "failed"
        ring = self._attached()
        if not self._recorder.running or self._stopped_at is not None:
            return "finishing"
        if ring is None or ring.received == 0:
            return "starting"
        return "finishing" if ring.state in (State.STOPPING, State.ENDED) else "live"

    def stop(self) -> None:
        """Ask the recorder to end; the pipeline finishes when it has all samples."""
        if self._stopped_at is None:
            self._stopped_at = time.monotonic()
            self._recorder.terminate()

    @property
    def pids(self) -> dict[str, int | None]:
        """Process ids by name."""
        return {child.name: child.pid for child in self._children}

    def outcome(self) -> dict[str, Any]:
        """Return what the pipeline left, and when what had ended, JSON-ready.

        ``stop_to_report_s`` counts from the last sample or the call of `stop`, whichever was
        later.
        """
        try:
            found: dict[str, Any] = json.loads(self.paths.outcome.read_text(encoding="utf-8"))
        except FileNotFoundError:
            found = {}
        # a disk that was full, a stream that was refused: the recording is whole and ends there
        early = self._said(self._recorder) if self._recorder.code == 3 else ""
        return {
            **found,
            "recorder_code": self._recorder.code,
            "trouble": "; ".join(filter(None, (self.trouble, early))),
            "restarts": [{"process": d.name, "why": d.why} for d in self._restarts],
        }

    def close(self) -> None:
        """End what still runs and clean up; the scratch of a recording that failed is kept.

        A recorder that still runs is asked to end in order and given the time for it.
        """
        if self._children and self._recorder.running:
            self._recorder.terminate()
            deadline = time.monotonic() + 10.0
            while self._recorder.running and time.monotonic() < deadline:
                self._recorder.poll()
                time.sleep(0.02)
        pipeline = self._pipeline
        refused = pipeline is not None and pipeline.code == 2
        given_up = pipeline is not None and pipeline.running and self._stopped_at is not None
        well = (not self.trouble or refused) and (given_up or self.phase == "done")
        done = bool(self._children) and well and is_finished(self.paths.archive)
        for child in self._children:
            child.kill()
        for feed in (self._recorder_feed, self._pipeline_feed):
            feed.close()
        if self._ring is not None:
            self._ring.close()
            self._ring = None
        if done or not self.paths.archive.exists():
            shutil.rmtree(self.paths.scratch, ignore_errors=True)


def _old_s(topics: dict[str, Snapshot]) -> float | None:
    status = topics.get("status")
    age = 0.0 if status is None else status.age()
    return age if age > STALE_S else None


class Refused(BrainForgeError):
    """The recorder was refused what it was asked to do."""

    exit_code = 2
