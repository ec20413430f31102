"""Feed: newest-wins snapshots in a memory-mapped file, for people who watch."""

from brainforge.feed.lasting import LastingReader
from brainforge.feed.reader import FeedReader
from brainforge.feed.snapshot import Snapshot
from brainforge.feed.writer import FeedWriter

__all__ = ["FeedReader", "FeedWriter", "LastingReader", "Snapshot"]
