"""LastingReader: watches a feed across processes that take it over."""

from __future__ import annotations

from pathlib import Path

from brainforge.errors import InputError
from brainforge.feed.reader import FeedReader
from brainforge.feed.snapshot import Snapshot


class LastingReader:
    """A reader of a feed that may not be there yet, or be made anew by another process.

    Parameters
    ----------
    path : Path
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._reader: FeedReader | None = None

    @property
    def topics(self) -> tuple[str, ...]:
        """The topics of the feed that was read last."""
        return self._reader.topics if self._reader is not None else ()

    def latest(self, topic: str) -> Snapshot | None:
        """Return the newest snapshot of a topic, None where there is none."""
        if self._reader is not None and self._reader.replaced:
            self.close()
        if self._reader is None:
            try:
                self._reader = FeedReader(self.path)
            except InputError:
                return None
        return self._reader.latest(topic) if topic in self._reader.topics else None

    def close(self) -> None:
        """Let go of the feed."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None
