"""ExactPath: offline pass 1 done as the samples come, so that only its end is left at the end.

It runs beside the stream in a lane of its own. What it keeps of the samples lies in the session's
folder; every 10 s it writes there how far it is. A process that takes over goes on from that.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Condition, Thread
from typing import Any, Final

from brainforge.backend import Backend
from brainforge.block import RawBlock
from brainforge.checkpoint import read_state, write_state
from brainforge.errors import OutputError, ReadError
from brainforge.info import Info
from brainforge.kernels.parallel import single_threaded_blas
from brainforge.masks import normal_masks
from brainforge.pipeline.assemble import Account
from brainforge.pipeline.clock import Clock, Progress
from brainforge.pipeline.grid import BLOCK_S, decimation, grid_size
from brainforge.pipeline.pipeline import Pipeline
from brainforge.processing import timed
from brainforge.recipe import Recipe
from brainforge.result import Result
from brainforge.shelf import Shelf

#: names in the session's folder
SHELF: Final = "exact.shelf"
STATE: Final = "exact.state"
#: seconds of signal that may wait for the lane before `feed` waits too
BACKLOG_S: Final = 30.0
#: seconds of signal that wake the lane: waking it for each piece costs more than its work
BATCH_S: Final = 1.0
#: seconds between two checkpoints at least: in catching up there is not one for every cell
EVERY_S: Final = 0.8 * BLOCK_S
#: changes with each start of the machine; without one there is nothing to go on from
_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")


class ExactPath:
    """Pass 1 of a recipe over a live stream, and at its end the Result.

    Parameters
    ----------
    recipe : Recipe
    info : Info
        Of the source.
    backend : Backend
        Its threads; it runs on the CPU, since a stream cannot be read again if a device fails.
    folder : Path
        The session's own, where it puts the working copy and its checkpoints. What an earlier
        one has left there is replaced, or gone on from after `restore`.
    backlog_s : float
        Seconds of signal that may wait.
    monotonic : callable
        The clock that spaces the checkpoints, in seconds.

    Raises
    ------
    InputError
        No MEG channel.
    OutputError
        The folder cannot be written to.

    Notes
    -----
    The Result has the same bits as that of the finished archive processed offline with as many
    threads, however the stream was cut and wherever it was interrupted.
    """

    def __init__(
        self,
        recipe: Recipe,
        info: Info,
        backend: Backend,
        folder: Path,
        *,
        backlog_s: float = BACKLOG_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.info, self._recipe = info, recipe
        self._backend = replace(
            backend, name="cpu", why="a stream cannot be read again if a device fails"
        )
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{folder}: expected a folder, got {error.strerror}") from error
        self._path = folder / STATE
        self._shelf = Shelf(folder / SHELF)
        try:
            self._pipe = Pipeline(recipe, info, self._backend, lasting=True, shelf=self._shelf)
        except BaseException:
            self._shelf.close()
            raise
        self._grid = grid_size(info.sfreq, decimation(info.sfreq, recipe.filter.working_rate_min))
        self._room, self._monotonic = round(backlog_s * info.sfreq), monotonic
        self._token, self._boot = uuid.uuid4().hex, _boot()
        self._changed = Condition()
        self._batch = min(round(BATCH_S * info.sfreq), self._room)
        self._waiting: list[RawBlock] = []
        #: samples that wait to be taken up, and those of them and of what is being worked on
        self._n_waiting, self._behind = 0, 0
        self._error: BaseException | None = None
        self._ending = self._closing = False
        #: stored samples handed over so far; the absolute index of the next one wanted
        self.n_fed, self.next_sample = 0, -(2**62)
        self._done = 0
        self._saved_at = monotonic()
        #: of the checkpoints written: how many, and the last one's bytes and seconds of CPU
        self.n_saved, self.saved_bytes, self.saved_cpu_s = 0, 0, 0.0
        self._thread: Thread | None = None

    # the stream

    def feed(self, raw: RawBlock) -> None:
        """Take the next block; it is copied and worked on in another thread.

        What it has already, of a block that is read again after `restore`, is left out. It waits
        only where more than ``backlog_s`` are unprocessed: the samples are safe elsewhere.

        Raises
        ------
        BaseException
            What failed in the background.
        """
        raw = self._new(raw)
        n = raw.data.shape[1]
        if not n:
            return
        raw = replace(raw, data=raw.data.copy(order="C"))
        with self._changed:
            self._changed.wait_for(
                lambda: self._error is not None or self._behind + n <= max(self._room, n)
            )
            self._raise()
            self._waiting.append(raw)
            self._n_waiting += n
            self._behind += n
            self.n_fed += n
            self.next_sample = raw.stop
            if self._n_waiting >= self._batch:
                self._changed.notify_all()
        if self._thread is None:
            self._thread = Thread(target=self._work, name="exact", daemon=True)
            self._thread.start()

    @property
    def behind(self) -> int:
        """Samples that are still to be worked on; up to a second's of them wait for more."""
        return self._behind

    def _new(self, raw: RawBlock) -> RawBlock:
        """Return the part of a block that has not come yet."""
        start = max(raw.start, self.next_sample)
        if start == raw.start:
            return raw
        masks = normal_masks(raw.masks, start, raw.stop)
        return RawBlock(raw.data[:, start - raw.start :], raw.info, start, masks)

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        """Feed the pipeline what waits, until the end."""
        try:
            with single_threaded_blas():
                while batch := self._next():
                    for raw in batch:
                        if self._closing:
                            return
                        self._take(raw)
        except BaseException as error:
            with self._changed:
                self._error = error
                self._changed.notify_all()

    def _next(self) -> list[RawBlock]:
        with self._changed:
            self._changed.wait_for(lambda: self._n_waiting >= self._batch or self._ending)
            batch, self._waiting, self._n_waiting = self._waiting, [], 0
            return batch

    def _take(self, raw: RawBlock) -> None:
        self._pipe.feed(raw)
        n = raw.data.shape[1]
        self._done += n
        if raw.start // self._grid != raw.stop // self._grid:
            self._save()
        with self._changed:
            self._behind -= n
            self._changed.notify_all()

    # checkpoints

    def checkpoint(self) -> dict[str, Any]:
        """Return what `restore` needs besides the folder, JSON-ready and small; costs nothing.

        The state itself is written by the lane whenever a cell of the grid (10 s) is done, when
        there is least of it: about 10 MB of 306 channels. So it lies up to a cell behind what
        was fed, or is newer than what this was called for.

        Raises
        ------
        BaseException
            What failed in the background.
        """
        self._raise()
        return {"token": self._token}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from the last state that was written in the folder; nothing was fed yet.

        Afterwards ``n_fed`` stored samples are in it and ``next_sample`` is the first one wanted:
        feed from there, or from before. Both stand at the beginning where the state is damaged,
        is another's, or is from before a restart of the machine.
        """
        try:
            found = read_state(self._path)
        except ReadError:
            found = None
        mine = {"token": state["token"], "boot": self._boot, "recipe": self._recipe.hash}
        if found is None or not self._boot or any(found[k] != v for k, v in mine.items()):
            return
        try:
            self._pipe.restore(found["pipeline"])
        except ReadError:
            return
        self._token = state["token"]
        self.n_fed = self._done = found["n_fed"]
        self.next_sample = found["next_sample"]

    def _save(self) -> None:
        now = self._monotonic()
        if now - self._saved_at < EVERY_S:
            return
        # of this thread and of its lanes, which it waits for: little of it is others' work
        begun = time.thread_time()
        state = self._pipe.state()
        document = {
            "token": self._token,
            "boot": self._boot,
            "recipe": self._recipe.hash,
            "n_fed": self._done,
            "next_sample": state["seen"][-1][1],
            "pipeline": state,
        }
        self.saved_bytes = write_state(self._path, document)
        self.saved_cpu_s = time.thread_time() - begun
        self.n_saved += 1
        self._saved_at = now

    # the end

    def finish(
        self,
        account: Account | Callable[[], Account] | None = None,
        progress: Progress | None = None,
    ) -> Result:
        """Return the Result of all that was fed; its timings are of this call.

        Parameters
        ----------
        account : Account | callable | None
            What is told of the recording besides its samples, or what gives it: called late,
            so that an archive may be finished meanwhile.
        progress : callable | None
            Told the stage in words and the share of it that is done, 0 to 1.

        Raises
        ------
        InputError
            Less than a second of samples came.
        BaseException
            What failed in the background.
        """
        begun = time.perf_counter()
        self._stop()
        self._raise()
        waited = time.perf_counter() - begun
        self._pipe.clock = Clock()
        with single_threaded_blas():
            return timed(self._pipe.finish(account, progress), waited, self._pipe.clock)

    def close(self) -> None:
        """Stop the lane and let go of the memory; the files stay in the folder."""
        self._closing = True
        self._stop()
        self._pipe.close()
        self._shelf.close()

    def _stop(self) -> None:
        with self._changed:
            self._ending = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()


def _boot() -> str:
    try:
        return _BOOT.read_text(encoding="ascii").strip()
    except OSError:
        return ""
