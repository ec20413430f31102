"""The pipeline's process: from the ring to snapshots, and at the end to findings and a report.

``python -m brainforge.session.worker SESSION.json``. It reads what the recorder has received,
sends every piece down the immediate and the exact path, and writes a checkpoint every 10 s of
signal. One that is started anew goes on from there: what it has missed is in the ring, or in the
recording.
"""

from __future__ import annotations

import resource
import signal
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from brainforge.acquisition.ring import Overrun, Ring, State, Stretch
from brainforge.backend import Backend
from brainforge.block import RawBlock
from brainforge.checkpoint import read_state, write_state
from brainforge.errors import BrainForgeError, InputError, ReadError
from brainforge.feed import FeedWriter, LastingReader
from brainforge.live.calibrator import Calibrator
from brainforge.live.exact import ExactPath
from brainforge.live.immediate import ImmediatePath
from brainforge.live.warm import warm
from brainforge.pipeline.grid import decimation
from brainforge.readers.events import trigger_names
from brainforge.recipe import load_recipe
from brainforge.session.ages import Ages
from brainforge.session.child import hear
from brainforge.session.finishing import finish, finished_archive
from brainforge.session.gather import Gather
from brainforge.session.header import Header, is_finished, wait_for_header
from brainforge.session.past import Past, Whole, dated
from brainforge.session.spec import SessionSpec

if TYPE_CHECKING:
    from brainforge.recording import Recording
    from brainforge.session.outlets import Outlets

#: seconds of signal between two checkpoints
CHECKPOINT_S: Final = 10.0
#: pause between two looks for samples that are due, and the longest one before they are
NAP_S, LONGEST_NAP_S = 0.004, 0.1
#: seconds of signal that are processed at once when there is a backlog
CATCH_UP_S: Final = 1.0
#: seconds of signal that the exact path takes at once
GATHER_S: Final = 1.0
#: longest a thread keeps the interpreter from the immediate path, in seconds
SWITCH_S: Final = 0.0005
#: seconds until what is needed later is loaded
WARM_AFTER_S: Final = 6.0
#: topics of this process itself, and their largest size in bytes
OWN_TOPICS: Final = {"beat": 4096, "progress": 4096}
#: a backlog of more than so many seconds is caught up with, and seconds between the glimpses of it
BEHIND_S: Final = 0.5
GLIMPSE_S: Final = 0.25
#: a recorder that has been silent for so many seconds may be gone
GONE_S: Final = 3.0
#: values whose newest sample is older are stale
STALE_S: Final = 1.0


class Worker:
    """Runs one session's pipeline until the recorder has ended.

    Parameters
    ----------
    spec : SessionSpec
    header : Header
        Of the recording.
    """

    def __init__(self, spec: SessionSpec, header: Header) -> None:
        self.spec, self.paths, self.header = spec, spec.paths, header
        self.info = header.info
        self.recipe = load_recipe(spec.recipe)
        self.backend = Backend(n_threads=spec.threads)
        self.ring = self._ring_of(header)
        self._past = Past(spec.paths.archive)
        self._recorder_feed = LastingReader(self.paths.recorder_feed)
        self._ages = Ages()
        self._behind, self._held_back = False, 0
        self._shown_at: dict[str, float] = {}
        self._arrival, self._between = time.monotonic(), NAP_S
        self.immediate = ImmediatePath(
            self.recipe, self.info, self.backend, self._publish,
            outputs=self._give_out if spec.outlets else None,
        )  # fmt: skip
        self._triggers = frozenset(trigger_names(self.info))
        self._outlets = self._open_outlets()
        self._feed = FeedWriter(self.paths.pipeline_feed, {**self.immediate.sizes(), **OWN_TOPICS})
        self.exact = ExactPath(self.recipe, self.info, self.backend, self.paths.scratch)
        # it works by cells of 10 s: every piece by itself would only cost more
        self._gather = Gather(round(GATHER_S * self.info.sfreq), self.exact.feed)
        self.calibrator = Calibrator(self.recipe, self.info, self.backend)
        #: stored samples that were read, that the immediate path has taken; events handed on
        self._at, self._shown, self._events = 0, 0, 0
        self._saved, self._piece = 0, max(round(spec.block_s * self.info.sfreq), 1)
        self._progress = time.monotonic()
        self._restored = self._restore()

    def _ring_of(self, header: Header) -> Ring | Whole:
        if header.ring is not None:
            with suppress(InputError):  # the recorder takes it away when it has finished
                return Ring.attach(header.ring)
        finished_archive(self.paths.archive)
        return Whole(self.paths.archive)

    def _open_outlets(self) -> Outlets | None:
        if not self.spec.outlets:
            return None
        from brainforge.session.outlets import Outlets

        rate = self.info.sfreq / decimation(self.info.sfreq, self.recipe.filter.working_rate_min)
        about = {"latency_s": self.immediate.latency, "delay_s": self.immediate.delay}
        bands = tuple(self.recipe.bands)
        return Outlets(self.spec.outlets, self.immediate.info, rate, bands, about)

    def _give_out(
        self, what: str, meta: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]
    ) -> None:
        """Pass on to the lab's tools what the immediate path has for them."""
        outlets = self._outlets
        if outlets is None or self._behind:
            return
        if what == "cleaned":
            outlets.cleaned(arrays["data"], float(meta["arrival"]))
        elif what == "feedback":
            outlets.feedback(meta)
        elif what == "marker":
            outlets.marker(meta, self._arrival)

    # the loop

    def run(self) -> None:
        """Process until the recorder has ended and every sample has been taken."""
        while True:
            over, last = self._over(), self.ring.received
            if last > self._at:
                self._take(last)
            elif over:
                self._gather.flush()
                return
            elif isinstance(self.ring, Ring) and self.ring.replaced:
                self._follow(self.ring)
            else:
                time.sleep(self._nap())
            self._progress = time.monotonic()

    def _follow(self, old: Ring) -> None:
        """Go on in the ring of a recorder that found the old one gone."""
        ring = Ring.attach(old.path)
        old.close()
        self.ring, self._events = ring, 0
        if ring.first < self._at:
            # the last samples before were lost with the old ring, and others may have come since
            self.paths.checkpoint.unlink(missing_ok=True)
            raise BrainForgeError(
                f"the recorder lost its ring: {self._at - ring.first} samples that were processed "
                "may not be in the recording; starting over"
            )

    def _over(self) -> bool:
        """Return whether nothing more will come: the recorder says so, or is gone for good."""
        if self.ring.state in (State.STOPPING, State.ENDED, State.FAILED):
            return True
        silent = time.monotonic() - self.ring.heartbeat / 1e9
        return silent > GONE_S and is_finished(self.paths.archive)

    def _nap(self) -> float:
        """Return how long there is nothing to look for: packets come about evenly."""
        due = self._arrival + self._between - time.monotonic()
        return min(max(due, NAP_S), LONGEST_NAP_S)

    def _take(self, last: int) -> None:
        """Take the next piece, a larger one where there is a backlog."""
        backlog = (last - self._at) / self.info.sfreq
        self._behind = backlog > BEHIND_S
        size = round(CATCH_UP_S * self.info.sfreq) if self._behind else self._piece
        end = min(last, self._at + size)
        if self._at < self._shown:
            end = min(end, self._shown)  # only the exact path has to have these again
        for stretch in self._read(self._at, end):
            raw = RawBlock(np.ascontiguousarray(stretch.data.T), self.info, stretch.start)
            self._at = stretch.stored + len(stretch.data)
            self._gather.put(raw)
            if self._at > self._shown:
                self._arrived(float(stretch.arrival[-1]) / 1e9)
                self._show(raw)
                self._shown = self._at
        if self._at - self._saved >= CHECKPOINT_S * self.info.sfreq:
            self._save()

    def _arrived(self, arrival: float) -> None:
        """Take note of a packet's arrival; the time between two is that of the shortest lately."""
        passed = arrival - self._arrival
        if passed > 0:
            self._between = min(passed, 1.05 * self._between + 1e-4)
        self._arrival = arrival

    def _read(self, first: int, last: int) -> list[Stretch]:
        """Return stored samples from the ring, or from the recording where they have left it."""
        try:
            return self.ring.read(first, last)
        except Overrun as overrun:
            found = self._past.read(first, min(last, overrun.oldest))
            arrival, newest = self.ring.last_arrival(), self.ring.received
            return [dated(s, newest, arrival, self.info.sfreq) for s in found]

    def _hand_on_events(self) -> None:
        self._events, new = self.ring.events(self._events)
        for sample, code, channel in new:
            # those of trigger channels the immediate path finds in the samples themselves
            if channel not in self._triggers:
                self.immediate.event(sample, code, channel)

    def _show(self, raw: RawBlock) -> None:
        self._hand_on_events()
        self.immediate.take(raw, self._arrival)
        self.calibrator.feed(raw)
        calibration = self.calibrator.poll()
        if calibration is not None:
            self.immediate.adopt(calibration)

    def check_all_taken(self, recording: Recording) -> None:
        """Raise BrainForgeError where more was recorded than processed.

        A recorder that took over at the end has done so; whoever is started anew has it too.
        """
        stored = sum(b - a for a, b in recording.segments)
        if stored != self._at:
            raise BrainForgeError(
                f"{stored} samples were recorded and {self._at} processed; starting over"
            )

    # what is shown

    def _publish(
        self, topic: str, meta: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]
    ) -> None:
        """Publish a snapshot; of a backlog that is caught up with only a few are shown."""
        now = time.monotonic()
        if self._behind and topic != "layout":
            if now - self._shown_at.get(topic, 0.0) < GLIMPSE_S:
                self._held_back += 1
                return
            self._shown_at[topic] = now
        age = now - float(meta["arrival"])
        extra: dict[str, Any] = {"stale": age > STALE_S}
        if topic == "traces":
            self._ages.add(age)
        if topic == "status":
            extra |= self._status()
            self._tell_outlets(meta)
        self._feed.publish(topic, {**meta, **extra}, arrays)

    def _tell_outlets(self, status: Mapping[str, Any]) -> None:
        if self._outlets is None:
            return
        self._outlets.features(status)
        said = self._recorder_feed.latest("recorder")
        if said is not None:
            self._outlets.notices(said.meta.get("last_notices") or [], said.written)

    def _status(self) -> dict[str, Any]:
        """Return what the process knows of itself."""
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return {
            "age": self._ages.summary(),
            "held_back": self._held_back,
            "backlog_s": (self.ring.received - self._at) / self.info.sfreq,
            "calibration": self.calibrator.summary(),
            "restored": self._restored,
            "cpu_s": usage.ru_utime + usage.ru_stime,
            "peak_rss_bytes": usage.ru_maxrss * 1024,
        }

    @property
    def last_arrival(self) -> float:
        """`time.monotonic` at which the newest sample came."""
        return self._arrival

    def live_part(self) -> dict[str, Any]:
        """Return what a result says of the live session, JSON-ready."""
        return {**self.immediate.summary(), **self._status(), "latency_s": self.immediate.latency}

    def beat(self) -> None:
        """Say that the process lives and when its loop last moved on."""
        self._feed.publish("beat", {"progress": self._progress, "stored": self._at})

    def tell(self, stage: str, share: float) -> None:
        """Say how far the end of the session is: the stage in words, and the share done."""
        self._progress = time.monotonic()
        self._feed.publish("progress", {"stage": stage, "share": float(share)})

    # checkpoints

    def _save(self) -> None:
        state = {
            "recording_id": self.header.recording_id,
            "recipe": self.recipe.hash,
            "shown": self._shown,
            "events": self._events,
            "ages": self._ages.state(),
            "exact": self.exact.checkpoint(),
            "immediate": self.immediate.state(),
            "calibrator": self.calibrator.state(),
        }
        write_state(self.paths.checkpoint, state)
        self._saved = self._at

    def _restore(self) -> bool:
        """Go on from the checkpoint where there is one that can be believed."""
        try:
            state = read_state(self.paths.checkpoint)
        except ReadError as error:
            print(f"starting over: {error}", file=sys.stderr, flush=True)
            return False
        mine = {"recording_id": self.header.recording_id, "recipe": self.recipe.hash}
        if state is None or any(state[key] != value for key, value in mine.items()):
            return False
        self.exact.restore(state["exact"])
        self.immediate.restore(state["immediate"])
        self.calibrator.restore(state["calibrator"])
        self._ages.restore(state["ages"])
        self._shown = state["shown"]
        # the exact path writes its own state now and then, so it may be behind or ahead
        self._at = self._saved = min(self._shown, self.exact.n_fed)
        self._events = state["events"]
        return True

    def close(self) -> None:
        """Let go of everything."""
        self.calibrator.close()
        self.exact.close()
        if self._outlets is not None:
            self._outlets.close()
        self._feed.close()
        self._recorder_feed.close()
        self.ring.close()


def _beating(worker: Worker, over: threading.Event) -> threading.Thread:
    """Start the thread that says twice a second that the process lives."""

    def beat() -> None:
        while not over.wait(0.5):
            worker.beat()

    thread = threading.Thread(target=beat, name="beat", daemon=True)
    thread.start()
    return thread


def _warming(worker: Worker, over: threading.Event) -> None:
    """Load what is needed later beside the stream: a calibration or the end finds it there.

    Not at once: what is shown first, and soonest after a restart, are the newest samples. Nobody
    waits for it: what it has not loaded is loaded when it is needed.
    """
    if not isinstance(worker.ring, Ring):
        return
    arguments = (worker.recipe, worker.info, worker.ring.dtype.name)

    def load() -> None:
        if not over.wait(WARM_AFTER_S):
            warm(*arguments)

    threading.Thread(target=load, name="warm", daemon=True).start()


def main(arguments: list[str]) -> int:
    """Run the process; return its exit code."""
    signal.signal(signal.SIGTERM, _terminated)
    hear(signal.SIGTERM)
    sys.setswitchinterval(SWITCH_S)
    spec = SessionSpec.from_json(Path(arguments[0]).read_text(encoding="utf-8"))
    over = threading.Event()
    try:
        worker = Worker(spec, wait_for_header(spec.paths))
        thread = _beating(worker, over)
        _warming(worker, over)
        try:
            worker.run()
            finish(worker)
        finally:
            over.set()
            thread.join()
            worker.close()
    except BrainForgeError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        return error.exit_code
    return 0


def _terminated(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
