"""The recorder's process: source in, archive out, whatever happens in between.

Four threads: the source's (it owns the recording from its first sample to its end), the log's,
the sealer's, and this one, which hears signals and says how things stand. Exit codes: 0 done;
2 bad input; 3 done in part: the disk was full, or the stream was refused in the middle; 1
internal error, after which another process can take over.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
import time
import traceback
import uuid
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from brainforge.acquisition.live_source import Piece, Position
from brainforge.acquisition.notice import Notice
from brainforge.acquisition.recorder.begin import Machine, begin
from brainforge.acquisition.recorder.disk import Disk
from brainforge.acquisition.recorder.recording import FEED, Recording
from brainforge.acquisition.recorder.resume import Complete, take_over
from brainforge.acquisition.recorder.spec import Spec
from brainforge.acquisition.recorder.status import Status
from brainforge.archive.durable import refuse_existing
from brainforge.errors import BrainForgeError, InputError, OutputError
from brainforge.recording import Event

DONE, INTERNAL, INPUT, PART = 0, 1, 2, 3
#: seconds between two words on how things stand; also the heartbeat
PERIOD_S: Final = 0.3


OpenSource = Callable[..., Any]


class Recorder:
    """Does what a spec asks for.

    Parameters
    ----------
    spec : Spec
    open_source : callable
        As `brainforge.acquisition.connect.open_source`.
    machine : Machine
    shard_samples : int | None
        Samples of a shard, instead of about ten seconds.
    """

    def __init__(
        self,
        spec: Spec,
        open_source: OpenSource,
        machine: Machine,
        shard_samples: int | None = None,
    ) -> None:
        self.spec, self._open_source, self._machine = spec, open_source, machine
        self._shard_samples = shard_samples
        self._path = Path(spec.out)
        self._id = spec.recording_id or uuid.uuid4().hex
        self._source: Any = None
        self._stopping, self._why = threading.Event(), ""
        feed = Path(spec.feed).absolute() if spec.feed else None
        # another process's feed is another one, be it of the same recording
        name = f"brainforge-{self._id}-{zlib.crc32(os.fsencode(spec.feed)):08x}{FEED}"
        memory = machine.memory / name if machine.memory.is_dir() else None
        self._status = Status(feed, spec.source, memory)
        self._state = "starting"
        self._before: list[Notice | Event] = []
        self.recording: Recording | None = None
        self.code = DONE

    def run(self, heard: int, said: int) -> int:
        """Record until the source ends, the duration is over or a signal comes.

        Parameters
        ----------
        heard, said : int
            Ends of a pipe: a byte in it is the number of a signal, or zero when all is done.
        """
        worker = threading.Thread(target=self._work, args=(said,), name="source", daemon=True)
        worker.start()
        while worker.is_alive():
            ready, _, _ = select.select([heard], [], [], PERIOD_S)
            if ready and any(os.read(heard, 64)):
                self.stop("asked to stop")
            self._beat()
        worker.join()
        self._beat()
        self._status.close()
        return self.code

    def stop(self, why: str) -> None:
        """Let the recording end in order; from any thread."""
        self._why = self._why or why
        self._stopping.set()
        source = self._source
        if source is not None:
            source.stop()

    def _beat(self) -> None:
        recording = self.recording
        if recording is not None:
            recording.ring.heartbeat = time.monotonic_ns()
        self._status.publish(self._state, recording)

    # the source's thread

    def _work(self, said: int) -> None:
        try:
            self._record()
        except BrainForgeError as error:
            self._fail(error, INPUT if self.recording is None else PART)
        except BaseException as error:
            traceback.print_exc()
            self._fail(error, INTERNAL)
        self._state = "ended" if self.code == DONE else "failed"
        os.write(said, b"\0")

    def _fail(self, error: BaseException, code: int) -> None:
        print(f"error: {error}", file=sys.stderr, flush=True)
        self.code = self.code or code

    def _record(self) -> None:
        position = None
        if not self.spec.resume:
            self._check_output()
        else:
            try:
                position = self._take_over()
            except Complete:
                return
        if self._stopping.is_set() and self.recording is not None:
            self._finish(None)
            return
        try:
            self._listen(position)
        except InputError as error:
            # what has come before is a recording all the same
            if self.recording is None:
                raise
            self._why = self._why or f"refused: {error}"
            self._fail(error, PART)
        if self.recording is None:
            got = "none before it was stopped" if self._stopping.is_set() else "none"
            raise InputError(
                where=self.spec.source, expected="samples", got=got, fix="nothing was recorded"
            )
        self._finish(self._source)

    def _check_output(self) -> None:
        refuse_existing(self._path)
        if not self._path.absolute().parent.is_dir():
            raise OutputError(f"{self._path.parent}: expected a folder that exists; make it")

    def _take_over(self) -> Position | None:
        taken = take_over(
            self._path, ring_s=self.spec.ring_s, stop=self.stop, machine=self._machine,
            recording_id=self.spec.recording_id,
        )  # fmt: skip
        self.recording = taken.recording
        self.recording.start()
        if taken.ended:
            self._why = "finished by another process"
            self._stopping.set()
        return taken.position

    def _listen(self, position: Position | None) -> None:
        spec = self.spec
        known = self.recording.parts.archive.info if self.recording is not None else None
        self._source = self._open_source(
            spec.source, block_s=spec.block_s, counter_channel=spec.counter_channel,
            position=position, info=known, **spec.options,
        )  # fmt: skip
        self._status.clock = self._source.clock
        if self._stopping.is_set():
            self._source.stop()
        with self._source as source:
            for item in source.stream():
                if isinstance(item, Piece):
                    if not self._take(item):
                        break
                elif self.recording is not None:
                    self.recording.note(item)
                else:
                    self._before.append(item)

    def _take(self, piece: Piece) -> bool:
        """Record a piece; return whether more is wanted."""
        block = piece.block
        data, start = block.data.T, block.start
        wanted = self._last_sample(block.info.sfreq) - start
        if wanted <= 0:
            self._why = self._why or "the duration is over"
            return False
        if self.recording is None:
            self._begin(piece)
        assert self.recording is not None
        behind = max(len(data) - wanted, 0)
        stamp = piece.stamp - behind / block.info.sfreq
        self.recording.write(data[:wanted], start, piece.counter, piece.arrival, stamp)
        self._state = "stopping" if self._stopping.is_set() else "recording"
        if wanted <= len(data):
            self._why = self._why or "the duration is over"
            return False
        return True

    def _last_sample(self, sfreq: float) -> int:
        if self.spec.duration_s is None:
            return sys.maxsize
        first = self.recording.first if self.recording is not None else 0
        return first + round(self.spec.duration_s * sfreq)

    def _begin(self, piece: Piece) -> None:
        source = self._source
        facts = {
            "source": self.spec.source,
            "name": source.name,
            "format": "live",
            "exact": bool(source.exact),
        }
        self.recording = begin(
            self._path, piece.block.info, piece.block.data.dtype, source=facts,
            recording_id=self._id, ring_s=self.spec.ring_s, stop=self.stop,
            machine=self._machine, shard_samples=self._shard_samples,
        )  # fmt: skip
        for item in self._before:
            self.recording.note(item)
        self._before.clear()
        self.recording.start()

    def _finish(self, source: Any) -> None:
        recording = self.recording
        assert recording is not None
        self._state = "stopping"
        try:
            recording.finish(self._why or "the source ended", source.clock() if source else {})
        finally:
            recording.close()
        if recording.full:
            self._fail(OutputError(_full(recording)), PART)


def _full(recording: Recording) -> str:
    last = recording.at - recording.first
    return (
        f"{recording.parts.archive.path}: the disk is full ({recording.full}); the recording was "
        f"ended in order after {last / recording.sfreq:.1f} s, all of it is kept"
    )


def main(
    arguments: Sequence[str],
    open_source: OpenSource | None = None,
    machine: Machine | None = None,
    shard_samples: int | None = None,
) -> int:
    """Run one recorder and return its exit code.

    Parameters
    ----------
    arguments : sequence of str
        The path of the spec.
    open_source, machine, shard_samples
        As `Recorder` takes them; None for the real ones.
    """
    if open_source is None:
        from brainforge.acquisition.connect import open_source as connect

        open_source = connect
    heard, said = os.pipe()
    for end in (heard, said):
        os.set_blocking(end, False)
    for number in (signal.SIGTERM, signal.SIGINT):
        # heard through the pipe, so that nothing is done while another thread holds a lock
        signal.signal(number, lambda *_: None)
    signal.set_wakeup_fd(said)
    # whoever started this may have held them back until somebody hears them
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGINT})
    try:
        if len(arguments) != 1:
            raise InputError(where="recorder", expected="SPEC.json", got=f"{len(arguments)} words")
        spec = Spec.from_file(Path(arguments[0]))
        recorder = Recorder(spec, open_source, machine or Machine(Disk()), shard_samples)
        return recorder.run(heard, said)
    except BrainForgeError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        return INPUT
    finally:
        signal.set_wakeup_fd(-1)
        os.close(heard)
        os.close(said)
