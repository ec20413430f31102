"""A source that plays what it is told, for the recorder's tests; run as a script it is a recorder.

Sample i of channel c is ``value(i, c)``, so that every stored sample says which one it is.
"""

from __future__ import annotations

import sys
import threading
import time
from dataclasses import dataclass, field

import numpy as np

from brainforge.acquisition.live_source import Piece, Position
from brainforge.acquisition.notice import Notice, What
from brainforge.block import RawBlock
from brainforge.errors import InputError
from brainforge.info import Channel, Info
from brainforge.recording import Event


def make_info(n_channels=4, sfreq=1000.0):
    """Return magnetometers and one trigger channel."""
    channels = [
        Channel("STI", "stim"),
        *(Channel(f"M{i}", "mag", cal=1e-15) for i in range(1, n_channels)),
    ]
    return Info(sfreq, tuple(channels))


def value(start, stop, n_channels):
    """Return samples [start, stop), axes (sample, channel), int32; they look like noise."""
    index = np.arange(start, stop, dtype=np.uint32)[:, None]
    mixed = index * np.uint32(747796405) + np.arange(n_channels, dtype=np.uint32) * 40503
    mixed = (mixed ^ mixed >> 15) * np.uint32(0x45D9F3B)
    data = ((mixed ^ mixed >> 15) & 0xFFFF).astype(np.int32)
    data[:, 0] = np.where(index[:, 0] % 100 >= 90, 5, 0)  # a pulse every tenth of a second
    return data


@dataclass
class Script:
    """What a source plays.

    ``gaps`` are [start, stop) of samples that never come; ``kept`` samples can come again after
    the recorder has died; ``speed`` is samples a second of the wall clock against the rate.
    """

    n_channels: int = 4
    sfreq: float = 1000.0
    total: int = 2000
    block: int = 50
    gaps: tuple = ()
    events: tuple = ()
    speed: float = 0.0
    kept: int = 0
    refuse_at: int | None = None
    began: float | None = None
    position: Position | None = None
    info: Info | None = None
    exact: bool = True
    name: str = "scripted"
    _stop: threading.Event = field(default_factory=threading.Event)

    def __enter__(self):
        self.info = make_info(self.n_channels, self.sfreq)
        return self

    def __exit__(self, *error):
        pass

    def stop(self):
        """Let the stream end."""
        self._stop.set()

    def clock(self):
        """Return nothing of interest."""
        return {"offset_s": 0.0}

    def _due(self, at):
        """Wait until sample ``at`` has been taken."""
        if self.speed and self.began is not None:
            wait = self.began + at / self.sfreq / self.speed - time.monotonic()
            if wait > 0:
                self._stop.wait(wait)

    def stream(self):
        """Yield what the script says."""
        self.began = self.began if self.began is not None else time.monotonic()
        at = 0
        if self.position is not None:
            at = self.position.sample
            now = at
            if self.speed:
                now = int((time.monotonic() - self.began) * self.sfreq * self.speed)
            lost = max(now - self.kept, at)
            if lost > at:
                yield Notice(What.GAP, at, lost, "the recorder was away")
                at = lost
        while at < self.total and not self._stop.is_set():
            gap = next((g for g in self.gaps if g[0] == at), None)
            if gap:
                yield Notice(What.GAP, *gap, "scripted")
                at = gap[1]
            stop = min(at + self.block, self.total)
            stop = min([stop, *(g[0] for g in self.gaps if g[0] > at)])
            self._due(stop)
            for sample, code in self.events:
                if at <= sample < stop:
                    yield Event(sample, code, "marker")
            if self.refuse_at is not None and at >= self.refuse_at:
                yield Notice(What.REFUSED, at, at, "the layout changed")
                raise InputError(where="scripted", expected="4 channels", got="5")
            block = RawBlock(value(at, stop, self.n_channels).T, self.info, at)
            now = time.monotonic()
            yield Piece(block, at + 7, now, now)
            at = stop


def opener(**script):
    """Return an ``open_source`` that plays a script."""

    def open_source(text, *, position=None, info=None, block_s=0.05, counter_channel=None, **more):
        return Script(**{**script, **more, "position": position})

    return open_source


if __name__ == "__main__":
    from brainforge.acquisition.recorder.process import main

    size = int(sys.argv[2]) if len(sys.argv) > 2 else None
    sys.exit(main(sys.argv[1:2], opener(), shard_samples=size))
