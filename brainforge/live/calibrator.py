"""Calibrator: calibrations in the background, first after half a minute, then every few minutes.

A thread of lower priority takes the samples of a window through pass 1 as they come, so nothing
but the decimated working copy is held (37 MB for 120 s of 306 channels), and only while a window
is being collected. Then it learns. Whatever fails there, the operator of the moment stays.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

from brainforge.backend import Backend
from brainforge.block import RawBlock
from brainforge.info import Info
from brainforge.live.calibration import Calibration, Lesson
from brainforge.recipe import Recipe

#: how much the thread stands back behind what is live
NICENESS: Final = 10
#: pieces are handed to the thread in blocks of so many seconds
BLOCK_S: Final = 1.0
#: seconds of signal that may wait for the thread; beyond them the window is given up
BACKLOG_S: Final = 20.0
#: what happened, remembered
_REMEMBERED = 20


class Calibrator:
    """Collects windows of a stream and learns from them, beside it.

    Parameters
    ----------
    recipe : Recipe
        ``live`` says when.
    info : Info
        Of the source.
    backend : Backend
        Its kind; one thread on the CPU is used.

    Notes
    -----
    `feed`, `poll` and the rest are called by one thread, and none of them waits but `close`.
    The first window holds ``calibration_s`` of samples that came; each later one
    ``refresh_window_s``, and ends ``refresh_s`` behind the one before. A window that fails is
    followed by another one at once before the first success, and in its turn after it.
    """

    def __init__(self, recipe: Recipe, info: Info, backend: Backend) -> None:
        self._recipe, self._info = recipe, info
        self._backend = Backend("cpu", 1, why=backend.why)
        live = recipe.live
        self._first = round(live.calibration_s * info.sfreq)
        self._every = round(live.refresh_s * info.sfreq)
        self._later = min(round(live.refresh_window_s * info.sfreq), self._every)
        self._size = max(round(BLOCK_S * info.sfreq), 1)
        self._window: _Window | None = None
        self._parts: list[RawBlock] = []
        #: the next window begins here; samples that the one under way has; the newest sample
        self._from, self._got, self._stop = 0, 0, 0
        self._last: Calibration | None = None
        self._failures, self._error, self._cpu_s = 0, "", 0.0
        self._events: list[dict[str, Any]] = []

    def feed(self, raw: RawBlock) -> None:
        """Take the next samples; they are copied."""
        self._stop = raw.stop
        window = self._window
        if raw.stop <= self._from or (window is not None and window.asked):
            return
        if window is None:
            window = self._window = _Window(
                Lesson(self._recipe, self._info, self._backend), self._last
            )
            window.start()
        self._parts.append(replace(raw, data=raw.data.copy()))
        self._got += raw.data.shape[1]
        if self._got >= self._wanted or sum(p.data.shape[1] for p in self._parts) >= self._size:
            for part in self._parts:
                window.jobs.put(part)
            self._parts = []
        if self._got >= self._wanted:
            window.ask()
        elif window.jobs.qsize() * raw.data.shape[1] > BACKLOG_S * self._info.sfreq:
            window.end("the machine has no time for it")

    def poll(self) -> Calibration | None:
        """Return a calibration that has been learned since, once; None where there is none."""
        window = self._window
        if window is None or not window.over.is_set():
            return None
        self._window, self._parts, self._got = None, [], 0
        self._cpu_s += window.cpu_s
        if window.outcome is None:
            self._failures, self._error = self._failures + 1, window.error
            self._next(self._stop)
            self._tell("failed", window.error)
            return None
        self._last, self._error = window.outcome, ""
        self._next(self._last.window[1])
        self._tell("calibrated", self._last.text)
        return self._last

    def summary(self) -> dict[str, Any]:
        """Return how it stands, JSON-ready."""
        window = self._window
        state = "waiting" if window is None else "learning" if window.asked else "collecting"
        return {
            "state": state,
            "revision": self._last.revision if self._last else 0,
            "collected_s": self._got / self._info.sfreq,
            "wanted_s": self._wanted / self._info.sfreq,
            "next_from": self._from,
            "failures": self._failures,
            "error": self._error,
            "cpu_s": self._cpu_s,
            "events": list(self._events),
        }

    def state(self) -> dict[str, Any]:
        """Return a checkpoint: a window under way is begun anew after it."""
        return {
            "from": self._from,
            "failures": self._failures,
            "error": self._error,
            "last": None if self._last is None else self._last.state(),
            "events": list(self._events),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint; the next fit begins from nothing, not from the last one."""
        self._from, self._failures = state["from"], state["failures"]
        self._error, self._events = state["error"], list(state["events"])
        self._last = state["last"] and Calibration.from_state(state["last"])

    def close(self) -> None:
        """Give up a window that is under way; wait until its thread has ended."""
        if self._window is not None:
            self._window.end("closed")
            self._window.join()
            self._window = None

    @property
    def _wanted(self) -> int:
        return self._first if self._last is None else self._later

    def _next(self, stop: int) -> None:
        self._from = stop if self._last is None else stop + self._every - self._later

    def _tell(self, what: str, text: str) -> None:
        self._events.append({"sample": self._stop, "what": what, "text": text})
        del self._events[:-_REMEMBERED]


class _Window(threading.Thread):
    """One window: takes blocks, learns when it is asked to, and is over.

    Attributes
    ----------
    asked : bool
        Whether all blocks have been given.
    over : Event
        Set when ``outcome`` or ``error`` is there.
    """

    def __init__(self, lesson: Lesson, start: Calibration | None) -> None:
        super().__init__(name="calibrator", daemon=True)
        self.jobs: queue.SimpleQueue[RawBlock | None] = queue.SimpleQueue()
        self.asked, self.over = False, threading.Event()
        self.outcome: Calibration | None = None
        self.error, self.cpu_s = "", 0.0
        self._lesson, self._start, self._given_up = lesson, start, ""

    def ask(self) -> None:
        """Let it learn when it has taken what waits."""
        self.asked = True
        self.jobs.put(None)

    def end(self, why: str) -> None:
        """Let it end without learning, unless it has begun to."""
        self._given_up = why
        self.jobs.put(None)

    def run(self) -> None:
        with suppress(OSError):  # where a thread may not stand back it goes on as it is
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
        try:
            while (raw := self.jobs.get()) is not None and not self._given_up:
                self._lesson.feed(raw)
            if self._given_up:
                self.error = f"calibration given up: {self._given_up}"
            else:
                self.outcome = self._lesson.learn(self._start)
        except Exception as error:  # whatever it is must not end what is live: it is told
            self.error = f"calibration failed: {error}"
        finally:
            self._lesson.close()
            self.cpu_s = time.thread_time()
            self.over.set()
