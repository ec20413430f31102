"""Status: what the recorder says of itself, a few times a second, to whoever looks.

It is said by a thread that never touches the archive's disk, so that a disk that hangs shows.
"""

from __future__ import annotations

import math
import os
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from brainforge.acquisition.recorder.recording import Recording
from brainforge.archive.durable import writing
from brainforge.feed import FeedWriter

TOPIC: Final = "recorder"
ROOM: Final = 64 << 10
#: so many notices are shown, with causes of so many characters
NOTICES, CAUSE = 10, 200
#: the rate is measured over so many seconds
RATE_S: Final = 10.0
#: a disk that has been asked for so long is an alarm
HUNG_S: Final = 1.0


class Status:
    """Publishes the topic ``recorder``.

    Parameters
    ----------
    path : Path | None
        The feed; None publishes nothing.
    source : str
    memory : Path | None
        Where it lies while it is written, so that a disk that hangs does not stop it; ``path``
        is a link to it until `close`.
    clock : callable
        Gives what is known of the source's clock.
    """

    def __init__(
        self,
        path: Path | None,
        source: str,
        memory: Path | None = None,
        clock: Callable[[], dict[str, Any]] = dict,
    ) -> None:
        self._path, self._memory, self._source, self.clock = path, memory, source, clock
        self._feed: FeedWriter | None = None
        if path is not None:
            with writing(path):
                self._feed = self._make_feed(path)
        self._last: dict[str, Any] = {}
        self._seen: deque[tuple[float, int]] = deque()
        self._page = os.sysconf("SC_PAGE_SIZE")

    def _make_feed(self, path: Path) -> FeedWriter:
        if self._memory is not None:
            try:
                feed = FeedWriter(self._memory, {TOPIC: ROOM})
            except OSError:
                self._memory = None  # no room there
            else:
                link = path.with_name(f".{path.name}.{os.getpid()}")
                link.symlink_to(self._memory)
                os.replace(link, path)
                return feed
        return FeedWriter(path, {TOPIC: ROOM})

    def publish(self, state: str, recording: Recording | None) -> None:
        """Say how things stand now.

        Parameters
        ----------
        state : str
            starting, recording, stopping, ended or failed.
        recording : Recording | None
            None before the first sample.
        """
        if self._feed is None:
            return
        document = self._process(state)
        if recording is not None:
            document |= self._samples(recording) | _disk(recording)
            document["clock"] = self.clock()
        self._last = finite(document)
        self._feed.publish(TOPIC, self._last)

    def _process(self, state: str) -> dict[str, Any]:
        with open("/proc/self/statm", encoding="ascii") as file:
            pages = int(file.read().split()[1])
        return {
            "state": state,
            "source": self._source,
            "pid": os.getpid(),
            "cpu_s": time.process_time(),
            "rss_bytes": pages * self._page,
            "alarm": "",
        }

    def _samples(self, recording: Recording) -> dict[str, Any]:
        ring, ledger = recording.ring, recording.ledger
        stored, sample = ring.received, recording.at
        now = time.monotonic()
        self._seen.append((now, stored))
        while now - self._seen[0][0] > RATE_S:
            self._seen.popleft()
        (since, first), rate = self._seen[0], math.nan
        if now > since:
            rate = (stored - first) / (now - since)
        return {
            "exact": ledger.exact,
            "sample": sample,
            "received": sample - recording.first,
            "stored": stored,
            "committed": ring.committed,
            "sealed": ring.sealed,
            "gaps": ledger.n_gaps,
            "lost_samples": ledger.lost,
            "rate_hz": rate,
            "last_notices": [
                {**n.to_dict(), "cause": n.cause[:CAUSE], "detail": {}}
                for n in ledger.notices[-NOTICES:]
            ],
            "buffered_s": (stored - ring.committed) / recording.sfreq,
            "generation": ring.generation,
            "ring": str(ring.path),
        }

    def close(self) -> None:
        """Let go of the feed; what was said last stays."""
        if self._feed is None or self._path is None:
            return
        self._feed.close()
        if self._memory is not None:
            left = FeedWriter(self._path, {TOPIC: ROOM})
            left.publish(TOPIC, self._last)
            left.close()
            self._memory.unlink(missing_ok=True)


def _disk(recording: Recording) -> dict[str, Any]:
    room, log = recording.room, recording.log
    since, alarm = log.busy_since, ""
    hung = 0.0 if since is None else time.monotonic() - since
    if recording.full:
        alarm = f"the disk is full ({recording.full}); the recording ends"
    elif hung >= HUNG_S:
        alarm = f"the disk has not answered for {hung:.0f} s; nothing is lost while the ring lasts"
    elif log.trouble or recording.trouble:
        alarm = f"the disk reports: {log.trouble or recording.trouble}"
    return {
        "disk": {
            "free_bytes": room.free_bytes, "hours_left": room.hours_left, "alarm": room.alarm,
        },
        "sync_ms": log.sync_figures(),
        "turns_skipped": recording.turns_skipped,
        "alarm": alarm or room.alarm,
    }  # fmt: skip


def finite(value: Any) -> Any:
    """Return JSON-ready values with None in place of numbers that are not finite."""
    if isinstance(value, dict):
        return {k: finite(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


__all__ = ["TOPIC", "Status", "finite"]
